// The program in the hands of the ordinary user that the set-up makes, from tests that root runs: those need root for
// what they compare with.

import {spawnSync} from 'node:child_process'
import {chmodSync, chownSync, copyFileSync, mkdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

import {PROJECT, programIn, succeed} from './program.js'
import type {Ended, Surroundings} from './program.js'

const NAME = 'interceptor-test'
/** What the program consists of once it is built. */
const PARTS = ['bin', 'dist', 'native', 'prebuilds', 'schemas', 'node_modules', 'package.json']

export interface OrdinaryUser {
  readonly uid: number
  readonly gid: number
  /** A directory of the user's own. */
  readonly home: string
  /** The command line that starts the program, which the user can reach. */
  readonly words: readonly string[]
  /** Runs the built program as the user, in `home` unless told otherwise. */
  interceptor(surroundings: Surroundings, ...args: string[]): Ended
}

export function hasOrdinaryUser(): boolean {
  return line() !== undefined
}

/** `directory` becomes the user's; the clone may lie where the user can't go, so that the program is copied to it. */
export function ordinaryUser(directory: string): OrdinaryUser {
  const [, , uid, gid] = line() ?? []
  if (uid === undefined || gid === undefined) throw new Error(`there is no user ${NAME}`)
  const [home, program] = [join(directory, 'home'), join(directory, 'program')]
  chmodSync(directory, 0o755)
  mkdirSync(home)
  chownSync(home, Number(uid), Number(gid))
  mkdirSync(program)
  const parts = PARTS.map((part) => join(PROJECT, part)).join('\n')
  // Links where that is possible: nothing is changed in them.
  const copy = 'while read -r part; do [ ! -e "$part" ] || cp -al "$part" . 2>/dev/null || cp -a "$part" .; done'
  succeed({cwd: program, input: `${parts}\n`}, 'sh', '-c', `${copy}; chmod go+rX .`)
  const words = [readableNode(program), join(program, 'bin', 'run.js')]
  return {
    uid: Number(uid),
    gid: Number(gid),
    home,
    words,
    interceptor: (surroundings, ...args) =>
      programIn(
        {cwd: home, ...surroundings, env: {HOME: directory, ...surroundings.env}},
        'runuser',
        '-u',
        NAME,
        '--',
        ...words,
        ...args,
      ),
  }
}

/** This Node, or a copy of it where it lies in root's home. */
function readableNode(directory: string): string {
  if (spawnSync('runuser', ['-u', NAME, '--', process.execPath, '-e', '0'], {cwd: '/'}).status === 0)
    return process.execPath
  const node = join(directory, 'node')
  copyFileSync(process.execPath, node)
  chmodSync(node, 0o755)
  return node
}

function line(): readonly string[] | undefined {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((text) => text.split(':'))
    .find(([name]) => name === NAME)
}
