"""The API's description: OpenAPI 3.1 from the constants that the code itself reads, and a page that shows it.

description   the whole document: what is served, the paths, the components
paths         every path that the gateway routes, with its operations
parameters    what stands in paths, queries and headers
requests      schemas of the bodies
answers       schemas of the answers
failures      statuses, codes and what they mean
example       a clip short enough to stand in a document
page          the document as HTML

Written once, when the gateway is configured; the gateway answers with both files by itself.
"""
