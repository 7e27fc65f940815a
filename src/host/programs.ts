// What of this host can be started and opened.

import {accessSync, closeSync, constants, openSync, readSync} from 'node:fs'
import {resolve} from 'node:path'

/** BINPRM_BUF_SIZE of include/uapi/linux/binfmts.h. */
const SCRIPT_LINE_MAX = 256

/** Where Debian keeps the administrator's programs: its ordinary users' PATH lacks them (ENV_PATH of login.defs(5)). */
const ADMINISTRATION = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** `path`, a value of PATH, with the directories of administration that it lacks at its end. */
export function withAdministration(path: string): string {
  const own = path.split(':')
  return [...own, ...ADMINISTRATION.filter((directory) => !own.includes(directory))].join(':')
}

/** Whether there is such a program; see `findProgram`. */
export function isProgram(name: string): boolean {
  return findProgram(name) !== undefined
}

/** Absolute path of a program that is named by a path, or by a name that is looked up along PATH and where root's are. */
export function findProgram(name: string): string | undefined {
  const candidates = name.includes('/')
    ? [name]
    : withAdministration(process.env['PATH'] ?? '')
        .split(':')
        .map((directory) => `${directory || '.'}/${name}`)
  const found = candidates.find((path) => allows(path, constants.X_OK))
  return found === undefined ? undefined : resolve(found)
}

/** The interpreter in the first line of a script (execve(2)); undefined for every other file. */
export function interpreterOf(path: string): string | undefined {
  let fd: number | undefined
  try {
    fd = openSync(path, 'r')
    const start = Buffer.alloc(SCRIPT_LINE_MAX)
    readSync(fd, start)
    return /^#![ \t]*([^ \t\n\0]+)/.exec(start.toString('latin1'))?.[1]
  } catch {
    return undefined
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** For reading and writing. */
export function canOpen(path: string): boolean {
  return allows(path, constants.R_OK | constants.W_OK)
}

function allows(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}
