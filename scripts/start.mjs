// `npm start`: the set-up, then the main job: a Debian tree in ./rootfs, made in an unprivileged container.
//
//   npm start [-- DIRECTORY [MIRROR]]

import {spawnSync} from 'node:child_process'
import {existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync} from 'node:fs'
import {dirname, join, resolve, sep} from 'node:path'
import {createInterface} from 'node:readline/promises'

import {mirrorOfThisMachine} from './mirror.mjs'
import {HELPER, PROJECT, SetupError, findFile, main, say, setUp} from './setup.mjs'

const SUITE = 'bookworm'
/** Which directory the last `npm start` made, so that the next one may replace that one and no other. */
const MADE = join(PROJECT, 'node_modules', '.cache', 'interceptor-start.json')

await main(async () => {
  const [name = 'rootfs', mirror = mirrorOfThisMachine(SUITE)] = process.argv.slice(2)
  const directory = resolve(PROJECT, name)
  if (!`${directory}${sep}`.startsWith(`${PROJECT}${sep}`) || directory === PROJECT) {
    throw new SetupError(`cannot make ${name}: only the project's directory is writable in the container`)
  }

  const {missing} = await setUp('start')
  for (const sentence of missing) say(sentence)
  if (!existsSync(HELPER)) throw new SetupError('cannot start a container: the native helper is not built')
  if (findFile('debootstrap') === undefined) throw new SetupError('cannot start debootstrap: it is not installed')

  await makeRoom(directory, name)
  // Command line and status are the program's: what is shown here can be pasted.
  const command = ['debootstrap', '--variant=minbase', SUITE, name, ...(mirror === undefined ? [] : [mirror])]
  const words = [join('bin', 'run.js'), 'run', '--mknod', '--sysinfo', '--', ...command]
  say(`\n$ node ${words.join(' ')}`)
  const result = spawnSync(process.execPath, words, {cwd: PROJECT, stdio: 'inherit'})
  if (result.error !== undefined) throw new SetupError(`cannot start interceptor: ${result.error.message}`)
  if (result.signal !== null) process.kill(process.pid, result.signal)
  process.exitCode = result.status
  if (result.status === 0)
    say(`\nMade ./${name}, a Debian ${SUITE} tree. Try: node bin/run.js run --rootfs ${name} -- sh`)
})

/** An empty directory that is ours. What an earlier `npm start` made is removed; anything else is left alone. */
async function makeRoom(directory, name) {
  if (existsSync(directory)) {
    if (readdirSync(directory).length > 0) await removeEarlier(directory, name)
    else rmSync(directory, {recursive: true})
  }
  mkdirSync(directory, {recursive: true})
  mkdirSync(dirname(MADE), {recursive: true})
  writeFileSync(MADE, JSON.stringify(identity(directory)))
}

async function removeEarlier(directory, name) {
  const hint = `hint: move it away, or name another directory: npm start -- ${name}-2`
  if (!isOurs(directory)) throw new SetupError(`cannot replace ./${name}: \`npm start\` did not make it\n${hint}`)
  const mounts = mountsBelow(directory)
  if (mounts.length > 0) throw new SetupError(`cannot replace ./${name}: ${mounts[0]} is mounted in it\n${hint}`)

  if (process.stdin.isTTY && process.stderr.isTTY) {
    const terminal = createInterface({input: process.stdin, output: process.stderr})
    const answer = await terminal.question(`./${name} was made by an earlier \`npm start\`. Replace it? [Y/n] `)
    terminal.close()
    if (!/^(y|yes|)$/iu.test(answer.trim())) throw new SetupError(`cannot replace ./${name}: not wanted\n${hint}`)
  } else {
    say(`Removing ./${name}, which an earlier \`npm start\` made.`)
  }
  try {
    rmSync(directory, {recursive: true})
  } catch (error) {
    if (error.code !== 'EACCES' && error.code !== 'EPERM') throw error
    // Made rootless: its files belong to subordinate ids, which only a container with the same ids may remove.
    const words = [join(PROJECT, 'bin', 'run.js'), 'run', '--quiet', '--', 'rm', '-rf', directory]
    const {status} = spawnSync(process.execPath, words, {cwd: PROJECT, stdio: 'inherit'})
    if (status !== 0) throw new SetupError(`cannot remove ./${name}: ${error.code}\n${hint}`, {cause: error})
  }
}

function isOurs(directory) {
  try {
    return readFileSync(MADE, 'utf8') === JSON.stringify(identity(directory))
  } catch {
    return false
  }
}

function identity(directory) {
  const {dev, ino, birthtimeMs} = lstatSync(directory)
  return {directory, dev, ino, birthtimeMs}
}

/** Removing a tree would go on into what is mounted there. */
function mountsBelow(directory) {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((path) => path.replace(/\\([0-7]{3})/gu, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8))))
    .filter((path) => path === directory || path.startsWith(`${directory}/`))
}
