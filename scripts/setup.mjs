// Everything that a fresh clone needs before it can run or be tested. Plain Node without packages: there are none yet.
//
//   node scripts/setup.mjs [build|start|test]
//
// It says what it installs, asks once on a terminal, and goes on without what it can't install, after saying so. What
// is there already is left alone; a second run changes nothing and takes a fraction of a second.

import {spawnSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {
  accessSync,
  appendFileSync,
  chmodSync,
  constants,
  existsSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import {join} from 'node:path'
import {createInterface} from 'node:readline/promises'
import {fileURLToPath} from 'node:url'

import {PACKAGES} from './packages.mjs'

export const PROJECT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/u, '')
export const TEST_USER = 'interceptor-test'
const FUSE = '/dev/fuse'
const NODE_OLDEST = [20, 19]
const SUBORDINATE_IDS = 65_536
const FIRST_SUBORDINATE_ID = 100_000
/** Holds the fingerprint of the sources that dist was built from. */
const BUILT_FROM = join(PROJECT, 'dist', '.built-from')
export const HELPER = join(PROJECT, 'native', 'build', 'interceptor-init')

/** A reason to stop that a person can act on. */
export class SetupError extends Error {}

export function say(line) {
  process.stderr.write(`${line}\n`)
}

/**
 * @param {'build' | 'start' | 'test'} purpose
 * @returns {Promise<{missing: string[]}>} what could not be provided, one sentence each
 */
export async function setUp(purpose) {
  requireNode()
  const plan = {
    npm: npmReason(),
    packages: missingPackages(purpose),
    user: purpose === 'test' ? userReason() : undefined,
    fuse: purpose === 'test' && isFuseClosed(),
  }
  const agreed = await announce(plan)

  if (plan.npm !== undefined) {
    if (!agreed) throw new SetupError('cannot go on without the npm packages\nhint: run `npm ci`')
    installNpmPackages()
  }
  const missing = []
  if (plan.packages.length > 0) missing.push(...installDebianPackages(plan.packages, agreed))
  missing.push(...build(purpose))
  if (plan.user !== undefined) missing.push(...makeUser(agreed))
  if (plan.fuse && agreed) chmodSync(FUSE, 0o666)
  return {missing}
}

// What is there

function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > NODE_OLDEST[0] || (major === NODE_OLDEST[0] && minor >= NODE_OLDEST[1])) return
  throw new SetupError(
    `cannot run on Node ${process.versions.node}: ${NODE_OLDEST.join('.')} is the oldest that works\n` +
      'hint: install a newer Node, for example from nodejs.org or NodeSource',
  )
}

/** Why `npm ci` is needed; undefined when node_modules holds exactly what the lock file names. */
function npmReason() {
  const wanted = readJson(join(PROJECT, 'package-lock.json')).packages
  let present
  try {
    present = readJson(join(PROJECT, 'node_modules', '.package-lock.json')).packages
  } catch {
    return 'not installed yet'
  }
  for (const [path, entry] of Object.entries(present)) {
    if (wanted[path]?.version !== entry.version) return 'the lock file has changed'
  }
  for (const [path, entry] of Object.entries(wanted)) {
    if (path !== '' && entry.optional !== true && entry.peer !== true && present[path] === undefined) {
      return 'the lock file has changed'
    }
  }
  return undefined
}

function missingPackages(purpose) {
  const purposes = {build: ['build'], start: ['build', 'start'], test: ['build', 'start', 'test']}[purpose]
  return PACKAGES.filter((entry) => purposes.includes(entry.purpose) && findFile(entry.file) === undefined)
}

/** An absolute path, or a program along PATH and where Debian keeps the administrator's programs. */
export function findFile(file) {
  if (file.startsWith('/')) return existsSync(file) ? file : undefined
  const directories = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']
  for (const directory of directories) {
    if (directory === '') continue
    try {
      accessSync(join(directory, file), constants.X_OK)
      return join(directory, file)
    } catch {
      // Not here.
    }
  }
  return undefined
}

function userReason() {
  if (process.getuid() !== 0) return undefined
  if (readUser(TEST_USER) === undefined) return 'does not exist yet'
  return ['/etc/subuid', '/etc/subgid'].every(hasRange) ? undefined : 'has no subordinate ids'
}

/** udev opens the device to every user (50-udev-default.rules); a machine without udev keeps it root's. */
function isFuseClosed() {
  const status = statSync(FUSE, {throwIfNoEntry: false})
  return process.getuid() === 0 && status !== undefined && (status.mode & 0o006) !== 0o006
}

/** The line of /etc/passwd, or undefined. */
export function readUser(name) {
  for (const line of readLines('/etc/passwd')) {
    const [login, , uid, gid, , home] = line.split(':')
    if (login === name) return {name, uid: Number(uid), gid: Number(gid), home}
  }
  return undefined
}

function hasRange(file) {
  return readLines(file).some((line) => line.startsWith(`${TEST_USER}:`))
}

// Before anything is changed

async function announce({npm, packages, user, fuse}) {
  const lines = []
  if (npm !== undefined) lines.push(`npm packages, by \`npm ci\` into node_modules (${npm})`)
  if (process.getuid() === 0 && findFile('apt-get') !== undefined) {
    for (const {name, why} of packages) lines.push(`Debian package ${name}: ${why}`)
  }
  if (user !== undefined) {
    lines.push(`user ${TEST_USER} with ${SUBORDINATE_IDS} subordinate ids: tests as an ordinary user (${user})`)
  }
  if (fuse) lines.push(`mode 0666 for ${FUSE}, as udev gives it: FUSE as an ordinary user`)
  if (lines.length === 0) return true

  say('Set-up installs what is missing:')
  for (const line of lines) say(`  - ${line}`)
  if (!process.stdin.isTTY || !process.stderr.isTTY) return true

  const terminal = createInterface({input: process.stdin, output: process.stderr})
  const answer = await terminal.question('Go ahead? [Y/n] ')
  terminal.close()
  return /^(y|yes|)$/iu.test(answer.trim())
}

// Installing

function installNpmPackages() {
  // Left by an `npm pack` that was interrupted: npm would take it for the lock file.
  rmSync(join(PROJECT, 'npm-shrinkwrap.json'), {force: true})
  const result = run('npm', [
    'ci',
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ])
  if (result.status === 0) return
  throw new SetupError(
    `cannot install the npm packages: npm ci ${ending(result)}\nhint: check that the npm registry can be reached`,
  )
}

/** @returns {string[]} what is still missing */
function installDebianPackages(packages, agreed) {
  const names = packages.map(({name}) => name)
  const command = `apt-get install ${names.join(' ')}`
  let obstacle
  if (!agreed) obstacle = 'not wanted'
  else if (findFile('apt-get') === undefined) obstacle = 'this system has no apt-get; its own packages will do'
  else if (process.getuid() !== 0) obstacle = `only root can install them; run \`sudo ${command}\``
  else obstacle = aptInstall(names)

  const left = packages.filter(({file}) => findFile(file) === undefined)
  if (left.length === 0) return []
  const cause = obstacle ?? `\`${command}\` did not bring them`
  return [`Not installed: ${left.map(({name, why}) => `${name} (${why})`).join(', ')}: ${cause}.`]
}

/** @returns {string | undefined} why it failed */
function aptInstall(names) {
  const environment = {...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8'}
  const options = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0', '-o', 'Acquire::Retries=2', '-q', '-y']
  const install = ['install', ...options, '--no-install-recommends', ...names]

  // The lists may be missing (container images) or older than the archive: fetched only when they don't do.
  if (run('apt-get', install, {env: environment, quiet: true}).status === 0) return undefined
  const update = run('apt-get', ['update', ...options], {env: environment, quiet: true})
  const result = run('apt-get', install, {env: environment, quiet: true})
  if (result.status === 0) return undefined
  const output = `${update.stderr}\n${result.stderr}`.split('\n').filter((line) => line.startsWith('E:'))
  return `apt-get ${ending(result)} (${output[0]?.trim() ?? 'is there a network?'})`
}

/** @returns {string[]} what is still missing */
function makeUser(agreed) {
  const impossible = (cause) => [`No user ${TEST_USER}: ${cause}; tests as an ordinary user are left out.`]
  if (!agreed) return impossible('not wanted')
  if (readUser(TEST_USER) === undefined) {
    if (findFile('useradd') === undefined) return impossible('this system has no useradd')
    const result = run('useradd', ['--create-home', '--shell', '/bin/sh', TEST_USER], {quiet: true})
    // Another set-up may have been faster.
    if (result.status !== 0 && readUser(TEST_USER) === undefined)
      return impossible(`useradd ${ending(result)}: ${result.stderr.trim()}`)
  }
  // useradd gives a range itself only where login.defs and the files are set up for it.
  for (const file of ['/etc/subuid', '/etc/subgid']) {
    if (!hasRange(file)) appendFileSync(file, `${TEST_USER}:${nextFreeRange(file)}:${SUBORDINATE_IDS}\n`)
  }
  return []
}

function nextFreeRange(file) {
  const ends = readLines(file).map((line) => {
    const [, first, count] = line.split(':').map(Number)
    return Number.isSafeInteger(first + count) ? first + count : 0
  })
  return Math.max(FIRST_SUBORDINATE_ID, ...ends)
}

// Building

/** @returns {string[]} what is still missing */
function build(purpose) {
  // The helper first: the program is run once when it is built.
  const missing = buildNative(purpose)
  const fingerprint = sourceFingerprint()
  const programIsCurrent = readText(BUILT_FROM) === fingerprint
  if (!programIsCurrent) {
    say('Set-up builds the program (npm run build:program) ...')
    rmSync(join(PROJECT, 'dist'), {recursive: true, force: true})
    const result = run('npm', ['run', '--silent', 'build:program'])
    if (result.status !== 0) throw new SetupError(`cannot build the program: npm run build:program ${ending(result)}`)
  }
  if (!programIsCurrent) writeFileSync(BUILT_FROM, fingerprint)
  return missing
}

/** make knows by itself what is out of date. */
function buildNative(purpose) {
  const makefile = readText(join(PROJECT, 'native', 'Makefile'))
  if (makefile === undefined) return []
  const lacking = ['cc', 'make'].filter((program) => findFile(program) === undefined)
  if (lacking.length > 0) {
    if (existsSync(HELPER)) return []
    return [
      `The native helper is not built: no ${lacking.join(', no ')}; nothing can be run in a container without it.`,
    ]
  }
  const targets = purpose === 'test' && /^test-programs:/mu.test(makefile) ? ['all', 'test-programs'] : ['all']
  const result = run('make', ['-s', '-C', join(PROJECT, 'native'), ...targets])
  if (result.status !== 0) throw new SetupError(`cannot build the native helper: make ${ending(result)}`)
  return []
}

/** Of everything that the built program depends on. */
function sourceFingerprint() {
  const hash = createHash('sha256')
  const names = readdirSync(join(PROJECT, 'src'), {recursive: true, withFileTypes: true})
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
  for (const name of ['package.json', 'package-lock.json', 'scripts/build.mjs', 'scripts/warm.cjs', 'bin/load.js']) {
    names.push(join(PROJECT, name))
  }
  for (const name of names) hash.update(name.slice(PROJECT.length)).update('\0').update(readFileSync(name)).update('\0')
  return hash.digest('hex')
}

// Small things

function run(program, args, {env = process.env, quiet = false} = {}) {
  // What installers print goes to stderr: stdout belongs to the job that comes after.
  const stdio = ['ignore', quiet ? 'pipe' : 2, quiet ? 'pipe' : 2]
  const result = spawnSync(program, args, {cwd: PROJECT, env, stdio, encoding: 'utf8', maxBuffer: 1 << 28})
  return {status: result.status, signal: result.signal, stderr: result.stderr ?? '', error: result.error}
}

function ending({status, signal, error}) {
  if (error !== undefined) return `could not be started (${error.code ?? error.message})`
  return signal === null ? `ended with status ${status}` : `was ended by ${signal}`
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'))
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function readLines(path) {
  return (readText(path) ?? '').split('\n').filter((line) => line !== '')
}

/** Runs `body` and turns a failure that a person can act on into a message and exit status 1. */
export async function main(body) {
  try {
    await body()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    say(`interceptor: ${error.message}`)
    process.exitCode = 1
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(async () => {
    const purpose = process.argv[2] ?? 'build'
    if (!['build', 'start', 'test'].includes(purpose)) {
      throw new SetupError(`cannot set up for \`${purpose}\`\nhint: name one of build, start, test`)
    }
    const {missing} = await setUp(purpose)
    for (const sentence of missing) say(sentence)
    if (missing.length === 0) say('Set-up: everything is there.')
  })
}
