// Batches of test files, each in a mocha of its own, so many at once. What one prints appears in one piece at its end.

import {spawn} from 'node:child_process'
import {chownSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync} from 'node:fs'
import {join} from 'node:path'

import {PROJECT, SetupError, say} from './setup.mjs'

/** No mocha may take longer: a test that hangs must not keep CI waiting for its own limit. */
const LIMIT_MINUTES = 15
const running = new Set()
const MOCHA = join('node_modules', 'mocha', 'bin', 'mocha.js')

/**
 * @typedef {{title: string, node: string, spawn: import('node:child_process').SpawnOptions}} Place as whom, and where
 * @typedef {{files: string[], where?: {ready: () => Promise<Place>}}} Batch of files by their paths in the project
 * @typedef {{passed: number, failed: number, skipped: number, failures: string[]}} Tally
 *
 * @param {Batch[]} batches in the order in which they start
 * @param {{jobs: number, minutes: number, options: string[]}} how many at once; how much longer each may take; options of
 *   mocha
 * @returns {Promise<Tally[]>}
 */
export async function runBatches(batches, {jobs, minutes, options}) {
  const waiting = [...batches]
  const tallies = []
  let interrupted
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => {
      interrupted = signal
      waiting.length = 0
      for (const child of running) child.kill(signal)
    })
  }
  const isAlone = batches.length === 1
  const lane = async () => {
    for (let batch = waiting.shift(); batch !== undefined; batch = waiting.shift()) {
      const own = {title: '', node: process.execPath, spawn: {cwd: PROJECT, env: process.env}}
      tallies.push(
        await runBatch(batch.files, (await batch.where?.ready()) ?? own, {
          options,
          isAlone,
          limit: LIMIT_MINUTES + minutes,
        }),
      )
    }
  }
  await Promise.all(Array.from({length: jobs}, lane))
  if (interrupted !== undefined) throw new SetupError(`cannot go on: ended by ${interrupted}`)
  return tallies
}

async function runBatch(files, place, {options, isAlone, limit}) {
  const directory = mkdtempSync('/var/tmp/interceptor-test-batch-')
  const {uid, gid} = place.spawn
  if (uid !== undefined) chownSync(directory, uid, gid)
  const [tally, output] = [join(directory, 'tally.json'), openSync(join(directory, 'output'), 'wx')]
  // Of options given twice the last counts: the sum needs our reporter.
  const colour = process.stdout.isTTY ? ['--color'] : []
  const words = [MOCHA, ...colour, ...options, '--reporter', 'scripts/tally-reporter.mjs', ...files]
  const stdio = isAlone ? ['ignore', 'inherit', 'inherit'] : ['ignore', output, output]
  if (isAlone) process.stdout.write(place.title)
  try {
    const ending = await run(place.node, words, {
      ...place.spawn,
      env: {...place.spawn.env, TALLY_FILE: tally},
      stdio,
      limit,
    })
    if (!isAlone) process.stdout.write(place.title + readFileSync(join(directory, 'output'), 'utf8'))
    return judge(files, {...ending, limit}, readTally(tally))
  } finally {
    closeSync(output)
    rmSync(directory, {recursive: true, force: true})
  }
}

async function run(program, words, {limit: minutes, ...options}) {
  const child = spawn(program, words, options)
  running.add(child)
  let isLate = false
  const limit = setTimeout(() => {
    isLate = true
    child.kill('SIGKILL')
  }, minutes * 60_000)
  try {
    const [status, signal] = await new Promise((done, failed) => {
      child.on('error', failed)
      child.on('exit', (...ending) => done(ending))
    })
    return {status, signal, isLate}
  } finally {
    clearTimeout(limit)
    running.delete(child)
  }
}

/** A mocha that ends badly without a failed test: a crash, a file that cannot be loaded, an error after the last test. */
function judge(files, {status, signal, isLate, limit}, tally) {
  if (status === 0 || tally.failed > 0) return tally
  const how = isLate ? `did not end within ${limit} minutes` : `ended with ${signal ?? `status ${status}`}`
  const failure = `  mocha ${how} without a failed test: ${files.join(' ')}`
  say(failure.trim())
  return {...tally, failed: 1, failures: [failure]}
}

function readTally(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return {passed: 0, failed: 0, skipped: 0, failures: []}
  }
}
