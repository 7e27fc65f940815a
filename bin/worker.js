// Entry of the worker threads, for src/intercept/supervisor.ts.
require('./load.js').load('worker')
