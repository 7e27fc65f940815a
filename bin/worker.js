// Entry of the worker threads, for src/intercept/engine/supervisor.ts.
require('./load.js').load('worker')
