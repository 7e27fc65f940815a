// Runs the program once and keeps what V8 has compiled by then beside the bundles, where bin/load.js looks for it.
//
//   node scripts/warm.cjs run --quiet --mknod -- true
//
// Whether that run succeeds does not matter: what is not compiled yet is compiled when it is first called.

'use strict'

const {renameSync, writeFileSync} = require('node:fs')
const workerThreads = require('node:worker_threads')

const load = require('../bin/load.js')

const name = workerThreads.isMainThread ? 'main' : 'worker'
const {script, filename} = load.compile(name)

/** Whole or not at all: the process may end while another thread is here. */
function save() {
  const file = load.cacheFile(name)
  writeFileSync(`${file}.new`, script.createCachedData())
  renameSync(`${file}.new`, file)
}

/** The program ends by _exit(2), without a farewell to Node. */
function requireWatched(id) {
  const found = load.requireForBundle(id)
  if (id === 'koffi') return {...found, load: (path) => watched(found.load(path))}
  if (id === 'node:worker_threads') return {...workerThreads, Worker: WarmWorker}
  return found
}

function watched(library) {
  const func = (symbol, ...types) => {
    const native = library.func(symbol, ...types)
    if (symbol !== '_exit') return native
    return (status) => {
      save()
      native(status)
    }
  }
  return {func}
}

class WarmWorker extends workerThreads.Worker {
  constructor(_file, options) {
    super(__filename, options)
  }
}

if (workerThreads.isMainThread) process.on('exit', save)
else {
  const port = workerThreads.parentPort
  const send = port.postMessage.bind(port)
  // The last message: the process does not wait for more.
  port.postMessage = (message) => {
    if (message.kind === 'end') save()
    send(message)
  }
}
const exports_ = load.run(script, filename, requireWatched)
if (workerThreads.isMainThread) exports_.main(process.argv.slice(2))
