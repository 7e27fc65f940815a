// `npm test`: the set-up, then every test; as root also, in the same run, those of the ordinary user.
//
//   npm test [-- FOLDER|FILE... [MOCHA OPTIONS]]        npm test -- unit cli --grep refuses
//
// Files called NAME.user.test.ts are run as an ordinary user, all others as whoever started this. Root runs the former
// as the user that the set-up makes, in a copy of the project that this user can read and write. Closes with one line:
// how many passed, failed and were skipped in all.

import {spawn, spawnSync} from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  unlinkSync,
} from 'node:fs'
import {dirname, join, relative, resolve} from 'node:path'

import {mirrorOfThisMachine} from './mirror.mjs'
import {PROJECT, SetupError, TEST_USER, main, readUser, say, setUp} from './setup.mjs'

const FOLDERS = ['unit', 'live', 'hostile', 'cli', 'e2e']
const COPIED = [
  'bin',
  'bench',
  'completions',
  'dist',
  'docs',
  'examples',
  'man',
  'native',
  'node_modules',
  'schemas',
  'scripts',
  'share',
  'src',
  'test',
]
/** No single mocha may take longer: a test that hangs must not keep CI waiting for its own limit. */
const LIMIT_MINUTES = 25

await main(async () => {
  const {operands, options} = split(process.argv.slice(2))
  const files = operands.length === 0 ? allFiles() : operands.flatMap(filesOf)
  const isUserTest = (file) => file.endsWith('.user.test.ts')
  const asRoot = process.getuid() === 0

  const {missing} = await setUp('test')
  for (const sentence of missing) say(sentence)

  // Tests that download from Debian go where this machine's apt goes.
  const mirror = process.env.DEBIAN_MIRROR ?? mirrorOfThisMachine('bookworm')
  if (mirror !== undefined) process.env.DEBIAN_MIRROR = mirror

  const tallies = []
  const ours = asRoot ? files.filter((file) => !isUserTest(file)) : files
  if (ours.length > 0) tallies.push(await mocha(ours, options, {cwd: PROJECT, env: process.env}))
  const theirs = asRoot ? files.filter(isUserTest) : []
  if (theirs.length > 0) tallies.push(await mochaAsUser(theirs, options))

  const sum = (key) => tallies.reduce((total, tally) => total + tally[key], 0)
  const [passed, failed, skipped] = [sum('passed'), sum('failed'), sum('skipped')]
  if (passed + failed === 0) say('No test was run.')
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0
  // stdout may be a pipe whose reader is slow: the line is whole before the process ends, since exit() is never called.
  process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`)
})

/** Words up to the first option are folders or files; all that follows is mocha's. */
function split(words) {
  const first = words.findIndex((word) => word.startsWith('-'))
  return first === -1 ? {operands: words, options: []} : {operands: words.slice(0, first), options: words.slice(first)}
}

function allFiles() {
  return FOLDERS.filter((folder) => existsSync(join(PROJECT, 'test', folder))).flatMap(filesOf)
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

async function mochaAsUser(files, options) {
  const user = readUser(TEST_USER)
  if (user === undefined) {
    say(`Pending, since there is no user ${TEST_USER}: ${files.join(', ')}`)
    return {passed: 0, failed: 0, skipped: files.length}
  }
  say(`\nAs the user ${TEST_USER}:`)
  const copy = mkdtempSync('/var/tmp/interceptor-test-user-')
  try {
    copyProject(copy, user)
    const node = readableNode(copy, user)
    const env = {
      HOME: user.home,
      USER: user.name,
      LOGNAME: user.name,
      SHELL: '/bin/sh',
      LANG: process.env.LANG ?? 'C.UTF-8',
      PATH: `${dirname(node)}:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin`,
      ...keep(['CI', 'DEBIAN_MIRROR', 'http_proxy', 'https_proxy', 'no_proxy']),
    }
    return await mocha(files, options, {cwd: copy, env, node, uid: user.uid, gid: user.gid})
  } finally {
    rmSync(copy, {recursive: true, force: true})
  }
}

function keep(names) {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => names.includes(name)))
}

/** The clone may lie where the user can't go (/root), or belong to root with a strict umask. */
function copyProject(copy, {uid, gid}) {
  const files = readdirSync(PROJECT, {withFileTypes: true}).filter((entry) => entry.isFile())
  for (const name of [...files.map((entry) => entry.name), ...COPIED]) {
    const source = join(PROJECT, name)
    if (existsSync(source)) cpSync(source, join(copy, name), {recursive: true, verbatimSymlinks: true})
  }
  const {status, stderr} = spawnSync('sh', ['-c', `chmod -R u+rwX,go+rX . && chown -hR ${uid}:${gid} .`], {
    cwd: copy,
    encoding: 'utf8',
  })
  if (status !== 0) throw new SetupError(`cannot give the copy in ${copy} to ${TEST_USER}: ${stderr.trim()}`)
}

/** This Node, or a copy of it where it lies in root's home (nvm and the like). */
function readableNode(copy, {uid, gid}) {
  const {status} = spawnSync(process.execPath, ['-e', '0'], {uid, gid, cwd: copy, env: {}})
  if (status === 0) return process.execPath
  const node = join(copy, 'node')
  copyFileSync(process.execPath, node)
  chmodSync(node, 0o755)
  return node
}

async function mocha(files, options, {cwd, env, node = process.execPath, uid, gid}) {
  const tally = join(mkdtempSync(`/var/tmp/interceptor-test-tally-`), 'tally.json')
  if (uid !== undefined) chownSync(dirname(tally), uid, gid)
  // Of options given twice the last counts: the sum needs our reporter.
  const words = [
    join('node_modules', 'mocha', 'bin', 'mocha.js'),
    ...options,
    '--reporter',
    'scripts/tally-reporter.mjs',
  ]
  const child = spawn(node, [...words, ...files], {
    cwd,
    env: {...env, TALLY_FILE: tally},
    stdio: ['ignore', 'inherit', 'inherit'],
    ...(uid === undefined ? {} : {uid, gid}),
  })
  const limit = setTimeout(() => {
    say(`The tests did not end within ${LIMIT_MINUTES} minutes.`)
    child.kill('SIGKILL')
  }, LIMIT_MINUTES * 60_000)
  const [status, signal] = await new Promise((done, failed) => {
    child.on('error', failed)
    child.on('exit', (...ending) => done(ending))
  })
  clearTimeout(limit)

  const counts = readTally(tally)
  // Ended badly without a failed test: a crash, a file that can't be loaded, an error after the last test.
  if (status !== 0 && counts.failed === 0) {
    say(`mocha ended with ${signal ?? `status ${status}`} without having reported it as a failed test.`)
    counts.failed = 1
  }
  return counts
}

function readTally(file) {
  let counts = {passed: 0, failed: 0, skipped: 0}
  if (existsSync(file)) {
    counts = JSON.parse(readFileSync(file, 'utf8'))
    unlinkSync(file)
  }
  rmSync(dirname(file), {recursive: true, force: true})
  return counts
}
