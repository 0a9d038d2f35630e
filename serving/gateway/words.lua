-- Words for errors that the model server words itself, by our code. scripts.py puts them before errors.lua.

NO_MODEL = "no such model, or no such version of it"
MESSAGES = {
  overloaded = "too many requests are waiting for this model, or none of its workers is running; try again in a moment",
  worker_died = "the worker ended or timed out while it processed this request; try again",
  internal_error = "the model failed on this batch of requests; the server's log says why",
}
