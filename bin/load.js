// Loads a bundle of dist/ together with the code that V8 made of it when it was built: compiling takes longer than all
// that a run does. V8 refuses code of another version or of other flags of its own; the source then serves by itself.
// CommonJS, because Node starts its loader of ES modules only when the first one is asked for.

'use strict'

const {readFileSync, writeSync} = require('node:fs')
const {join} = require('node:path')
const {Script} = require('node:vm')

const DIRECTORY = join(__dirname, '..', 'dist')

/** Modules of Node that take a millisecond or more to start, and that a run may never need. */
const DEFERRED = new Set([
  'node:child_process',
  'node:crypto',
  'node:fs/promises',
  'node:module',
  'node:net',
  'node:readline',
  'node:stream',
  'node:timers/promises',
  'node:tty',
  'node:util',
  'node:v8',
  'node:worker_threads',
  'node:zlib',
])

/** @param {readonly string[]} words those of the command line */
async function start(words) {
  try {
    await loadAndRun(words)
  } catch (error) {
    // Whoever words failures could not be loaded: src/cli/text/failure.ts has the same hint.
    if (error.code !== 'EMFILE') throw error
    process.exitCode = 125
    writeSync(2, 'interceptor: cannot load its own files: too many open files\n')
    writeSync(2, 'hint: allow interceptor more open files: ulimit -n 1024\n')
  }
}

/** The smallest bundle first that may do all of it. `run` answers false where help was asked for. */
async function loadAndRun(words) {
  if (words[0] === 'run') {
    // The variable is MARKER of src/container/launch/process-args.ts.
    const isSecondTime = process.env.INTERCEPTOR_USER_NAMESPACE !== undefined
    if (process.geteuid() !== 0 && !isSecondTime) await load('enter').main()
    if (await load('run').main(words)) return
    words = ['help', 'run']
  }
  await load('main').main(words)
}

/**
 * @param {'enter' | 'main' | 'run' | 'worker'} name
 * @returns {Record<string, any>} what the bundle exports
 */
function load(name) {
  const {script, filename} = compile(name)
  return run(script, filename, requireForBundle)
}

function compile(name) {
  const filename = join(DIRECTORY, `${name}.js`)
  // Bundles are ASCII, and so each byte a character: scripts/build.mjs sees to it.
  const source = readFileSync(filename, 'latin1')
  // Code that was kept brings its name along, so that this one is the same wherever the package lies; see src/cli/text/stack.ts.
  const script = new Script(source, {filename: `interceptor:${name}.js`, cachedData: readIfThere(cacheFile(name))})
  return {script, filename}
}

function run(script, filename, requireFrom) {
  const module = {exports: {}}
  script.runInThisContext()(module.exports, requireFrom, module, filename, importFor)
  return module.exports
}

/** In the bundle itself import() has no meaning: code that was kept does not know where it came from. */
function importFor(specifier) {
  return import(specifier)
}

function cacheFile(name) {
  return join(DIRECTORY, `${name}-${process.version}-${process.arch}.cache`)
}

function readIfThere(path) {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}

function requireForBundle(id) {
  if (DEFERRED.has(id)) return new Proxy({}, {get: (_, key) => require(id)[key]})
  return id === 'koffi' ? requireKoffi() : require(id)
}

/** The package of this machine has all that we use; what koffi adds, older names and their warnings, loads for longer. */
function requireKoffi() {
  try {
    const koffi = require(`@koromix/koffi-linux-${process.arch}`)
    if (typeof koffi.load === 'function') return koffi
  } catch {
    // Installed in some other way: koffi knows where to look.
  }
  return require('koffi')
}

module.exports = {cacheFile, compile, load, requireForBundle, run, start}
