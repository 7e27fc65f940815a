// What of this host can be started and opened.

import {accessSync, constants} from 'node:fs'

/** Where Debian keeps the administrator's programs: its ordinary users' PATH lacks them (ENV_PATH of login.defs(5)). */
const ADMINISTRATION = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** `path`, a value of PATH, with the directories of administration that it lacks at its end. */
export function withAdministration(path: string): string {
  const own = path.split(':')
  return [...own, ...ADMINISTRATION.filter((directory) => !own.includes(directory))].join(':')
}

/** A path, or a name that is looked up along PATH and where the administrator's programs are. */
export function isProgram(name: string): boolean {
  const candidates = name.includes('/')
    ? [name]
    : withAdministration(process.env['PATH'] ?? '')
        .split(':')
        .map((directory) => `${directory || '.'}/${name}`)
  return candidates.some((path) => allows(path, constants.X_OK))
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
