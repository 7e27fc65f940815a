// Runs a bundle once and keeps what V8 has compiled by then beside the bundles, where bin/load.js looks for it.
//
//   node scripts/warm.cjs BUNDLE WORDS...     as in: warm.cjs run run --quiet --mknod -- true
//
// Whether that succeeds does not matter: what is not compiled yet is compiled when it is first called.

'use strict'

const {renameSync, writeFileSync} = require('node:fs')
const workerThreads = require('node:worker_threads')

const load = require('../bin/load.js')

const [bundle, ...words] = process.argv.slice(2)
const name = workerThreads.isMainThread ? bundle : 'worker'
const {script, filename} = load.compile(name)

/** Whole or not at all: the process may end while another thread is here. */
function save() {
  const file = load.cacheFile(name)
  writeFileSync(`${file}.new`, script.createCachedData())
  renameSync(`${file}.new`, file)
}

/** Calls by which the program ends without a farewell to Node. */
const LAST = {
  _exit: (native) => (status) => {
    save()
    native(status)
  },
  execve:
    (native) =>
    (...values) => {
      // `enter` has done all that it does; a run goes on as another process, which comes here again.
      if (name !== 'enter') return native(...values)
      process.seteuid(process.getuid())
      save()
      process.exit()
    },
}

function requireWatched(id) {
  const found = load.requireForBundle(id)
  if (id === 'koffi') return {...found, load: (path) => watched(found.load(path))}
  if (id === 'node:worker_threads') return {...workerThreads, Worker: WarmWorker}
  return found
}

function watched(library) {
  const func = (symbol, ...types) => {
    const native = library.func(symbol, ...types)
    return symbol in LAST ? LAST[symbol](native) : native
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
if (workerThreads.isMainThread) {
  // Root enters no user namespace.
  if (name === 'enter' && process.getuid() === 0) process.seteuid(65_534)
  exports_.main(words)
}
