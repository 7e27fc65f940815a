// Where root has the tests of an ordinary user run: in a copy of the project that this user can read and write.

import {spawn, spawnSync} from 'node:child_process'
import {chmodSync, copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync} from 'node:fs'
import {dirname, join} from 'node:path'

import {PROJECT, SetupError} from './setup.mjs'

/** Of root's environment. */
const KEPT = [
  'CI',
  'DEBIAN_MIRROR',
  'HOSTILE_MINUTES',
  'INTERCEPTOR_PATHS',
  'INTERCEPTOR_POLICIES',
  'INTERCEPTOR_SEED',
  'http_proxy',
  'https_proxy',
  'no_proxy',
]

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

/**
 * The copy is made when it is first asked for. remove() takes it away.
 *
 * @param {{name: string, uid: number, gid: number, home: string} | undefined} user
 */
export function userPlace(user) {
  let copy
  let made
  return {
    ready: () => (made ??= makePlace((copy = mkdtempSync('/var/tmp/interceptor-test-user-')), user)),
    remove: () => copy !== undefined && rmSync(copy, {recursive: true, force: true}),
  }
}

async function makePlace(copy, user) {
  await copyProject(copy, user)
  const node = readableNode(copy, user)
  const env = {
    HOME: user.home,
    USER: user.name,
    LOGNAME: user.name,
    SHELL: '/bin/sh',
    LANG: process.env.LANG ?? 'C.UTF-8',
    // As login(1) gives it to users of Debian: without the directories of administration.
    PATH: `${dirname(node)}:/usr/local/bin:/usr/bin:/bin`,
    ...keep(KEPT),
  }
  const title = `\nAs the user ${user.name}:\n`
  return {title, node, spawn: {cwd: copy, env, uid: user.uid, gid: user.gid}}
}

function keep(names) {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => names.includes(name)))
}

/** The clone may lie where the user can't go (/root), or belong to root with a strict umask. */
async function copyProject(copy, {name, uid, gid}) {
  const files = readdirSync(PROJECT, {withFileTypes: true}).filter((entry) => entry.isFile())
  const parts = [...files.map((entry) => entry.name), ...COPIED].filter((part) => existsSync(join(PROJECT, part)))
  const script = `cp -a "$@" . && chmod -R u+rwX,go+rX . && chown -hR ${uid}:${gid} .`
  const words = ['-c', script, 'sh', ...parts.map((part) => join(PROJECT, part))]
  const child = spawn('sh', words, {cwd: copy, stdio: ['ignore', 'ignore', 'inherit']})
  const status = await new Promise((done) => child.on('exit', done))
  if (status !== 0) throw new SetupError(`cannot give a copy of the project in ${copy} to ${name}`)
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
