"""What serving costs beside the encoder: processor time of a request, seconds of a start, memory of a worker.

cost      requests/s, CPU ms by process and by stage, around an encoder that does nothing (`asking`: what is sent)
start     seconds until a server is ready and until a worker is replaced, by stage, and the worker's memory
shared    what workers of small models share
capacity  the highest rate that meets an SLO
checkout  this version of the repository, and another one beside it
page      the tables of docs/results/overhead.md
"""
