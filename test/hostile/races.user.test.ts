// The same as races.test.ts where an ordinary user's supervisor keeps nodes and attributes in files of that user.

import {each, itRaces} from '../helpers/races.js'
import type {Race} from '../helpers/races.js'
import {skipUnlessPrograms, skipUnlessRootless} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

const FLAGS = ['--mknod', '--setxattr', '--sysinfo']
const FAMILIES = ['mknod', 'setxattr']
/** Nothing of it is the user's. */
const FOREIGN = '/usr'

describe("an ordinary user's container that races", () => {
  skipUnlessRootless()
  skipUnlessPrograms('cc', 'newuidmap')
  const temporary = temporaryDirectories()
  let top = ''
  before(() => {
    top = temporary()
  })
  const race = (title: string, races: readonly Race[]) =>
    itRaces(
      title,
      () => top,
      {flags: FLAGS, races},
      () => ({}),
    )

  race('makes nothing elsewhere where it swaps a file’s place', [
    ...each('swaps', FAMILIES, ['link', 'exchange', 'mount', 'directory', 'root', 'descriptor'], FOREIGN),
  ])
  race('gets each call done once under a storm of signals', [
    ...each('storm', FAMILIES, ['restart', 'interrupt']),
    ['storm', 'mknod', 'threads'],
  ])
  race('gets each call done once or not at all where callers end', [
    ...each('deaths', FAMILIES, ['kill', 'stop', 'trace', 'exec', 'exit']),
  ])
  race('has done what was checked where it changes its memory', [
    ...['mknod', 'setxattr', 'sysinfo'].map((call): Race => ['memory', call, FOREIGN]),
  ])
  race('makes, renames, links and removes nodes of one name at once', [['names', 'mounts']])
  race('gets no other call done by filters or tracers of its own', [['filters']])
  race('gets nothing done for root of a user namespace of its own', [
    ...FAMILIES.map((family): Race => ['nested', family]),
  ])
})
