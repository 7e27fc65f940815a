// `npm test`: the set-up, then every test; as root also, in the same run, those of the ordinary user.
//
//   npm test [-- FOLDER|FILE... [--jobs N] [MOCHA OPTIONS]]        npm test -- unit cli --grep refuses
//   npm run test:hostile [-- --minutes N]                          races take N minutes for each user, not a moment
//
// Files called NAME.user.test.ts are run as an ordinary user, all others as whoever started this. Root runs the former
// as the user that the set-up makes, in a copy of the project that this user can read and write. As many mochas run at
// once as there are processors, or N. Closes with one line: how many passed, failed and were skipped in all.

import {existsSync, lstatSync, readdirSync} from 'node:fs'
import {availableParallelism} from 'node:os'
import {join, relative, resolve} from 'node:path'

import {mirrorOfThisMachine} from './mirror.mjs'
import {PROJECT, SetupError, TEST_USER, main, readUser, say, setUp} from './setup.mjs'
import {runBatches} from './test-batches.mjs'
import {userPlace} from './test-user.mjs'

/** Those whose single tests take longest come first, so that no processor waits for the last of them. */
const FOLDERS = ['e2e', 'hostile', 'live', 'cli', 'unit']
/** Files that one mocha runs, where it is not one: a start takes a second, and a batch is the least that can wait. */
const BATCH_FILES = {unit: Infinity, live: 5, cli: 4}
const JOBS_MIN = 2

await main(async () => {
  const {operands, jobs, minutes, options} = split(process.argv.slice(2))
  // For test/helpers/races.ts.
  process.env.HOSTILE_MINUTES = String(minutes)
  const files = (operands.length === 0 ? FOLDERS : operands).flatMap(filesOf)
  const asRoot = process.getuid() === 0

  const {missing} = await setUp('test')
  for (const sentence of missing) say(sentence)

  // Tests that download from Debian go where this machine's apt goes.
  const mirror = process.env.DEBIAN_MIRROR ?? mirrorOfThisMachine('bookworm')
  if (mirror !== undefined) process.env.DEBIAN_MIRROR = mirror

  const isUserTest = (file) => asRoot && file.endsWith('.user.test.ts')
  const user = asRoot && files.some(isUserTest) ? readUser(TEST_USER) : undefined
  const left = user === undefined ? files.filter(isUserTest) : []
  if (left.length > 0) say(`Pending, since there is no user ${TEST_USER}: ${left.join(', ')}`)
  const place = userPlace(user)
  try {
    const batches = [...new Set(files)]
      .filter((file) => !left.includes(file))
      .map((file) => ({file, where: isUserTest(file) ? place : undefined}))
    conclude(await runBatches(inBatches(batches), {jobs, minutes, options}), left.length)
  } finally {
    place.remove()
  }
})

/** Words up to the first option are folders or files; --jobs and --minutes are ours, and all else is mocha's. */
function split(words) {
  const first = words.findIndex((word) => word.startsWith('-'))
  const operands = first === -1 ? words : words.slice(0, first)
  const options = first === -1 ? [] : words.slice(first)
  const jobs = takeNumber(options, '--jobs') ?? Math.max(JOBS_MIN, availableParallelism())
  return {operands, options, jobs, minutes: takeNumber(options, '--minutes') ?? 0}
}

function takeNumber(options, name) {
  const at = options.indexOf(name)
  if (at === -1) return undefined
  const [, number] = options.splice(at, 2)
  if (!/^[1-9]\d*$/u.test(number)) throw new SetupError(`${name} takes a number above 0, not ${number ?? 'nothing'}`)
  return Number(number)
}

/** `unit`, `test/unit` or a file. */
function filesOf(operand) {
  const path = [join(PROJECT, 'test', operand), resolve(PROJECT, operand)].find((candidate) => existsSync(candidate))
  if (path === undefined) {
    throw new SetupError(`cannot find tests ${operand}\nhint: name a file, or one of ${FOLDERS.join(', ')}`)
  }
  if (lstatSync(path).isFile()) return [relative(PROJECT, path)]
  return readdirSync(path, {recursive: true})
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => relative(PROJECT, join(path, name)))
}

/** Neighbours of one folder that run as one user, in the order in which they are to start. */
function inBatches(entries) {
  const batches = new Map()
  for (const {file, where} of entries) {
    const [, folder = ''] = file.split('/')
    const key = `${folder} ${where === undefined ? 'own' : 'user'}`
    const all = batches.get(key) ?? batches.set(key, []).get(key)
    const last = all.at(-1)
    if (last !== undefined && last.files.length < (BATCH_FILES[folder] ?? 1)) last.files.push(file)
    else all.push({files: [file], where})
  }
  return [...batches.values()].flat()
}

function conclude(tallies, left) {
  const sum = (key) => tallies.reduce((total, tally) => total + tally[key], 0)
  const [passed, failed, skipped] = [sum('passed'), sum('failed'), sum('skipped') + left]
  const failures = tallies.flatMap((tally) => tally.failures)
  if (failures.length > 0) process.stdout.write(['Failed:', ...failures, ''].join('\n'))
  if (passed + failed === 0) say('No test was run.')
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0
  // stdout may be a pipe whose reader is slow: the line is whole before the process ends, since exit() is never called.
  process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`)
}
