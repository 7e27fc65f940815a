// Containers that race against the supervisor: what a call names is swapped under it, and those who make it die in it.

import assert from 'node:assert/strict'
import {existsSync, mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {program, succeed} from '../helpers/program.js'
import {each, itRaces} from '../helpers/races.js'
import type {Race, Races} from '../helpers/races.js'
import {skipUnless, skipUnlessPrivileged, skipUnlessPrograms} from '../helpers/skip.js'
import {temporaryDirectories} from '../helpers/temporary.js'

/** The container has no such user: what is theirs can't be changed there. */
const STRANGER = 100_000
const WAYS = ['link', 'exchange', 'mount', 'directory', 'root', 'descriptor']
const DEATHS = ['kill', 'stop', 'trace', 'exec', 'exit']
const FILES = ['mknod', 'setxattr']
const MOUNTS = ['mount', 'new-mount']
const STORMS = ['restart', 'interrupt']
const USERFAULTFD = '/dev/userfaultfd'

const ON_FILES = ['--mknod', '--setxattr']
const ON_MOUNTS = ['--mount-allowed', 'ext4', '--mount-source', '{allowed}']
const ON_TASKS = ['--sched-setscheduler']

describe('a container that races', () => {
  skipUnlessPrivileged()
  skipUnlessPrograms('cc', 'mkfs.ext4', 'losetup', 'getfattr', 'find')
  const temporary = temporaryDirectories()
  const loops: Record<string, string> = {}
  let top = ''
  let foreign = ''
  let untouched = ''

  before(() => {
    top = temporary()
    foreign = join(top, 'work', 'foreign')
    mkdirSync(join(foreign, 'm'), {recursive: true})
    writeFileSync(join(foreign, 'f'), '')
    succeed({}, 'chown', '-R', `${STRANGER}:${STRANGER}`, foreign)
    for (const name of ['allowed', 'other']) loops[name] = loopWith(name)
    untouched = state()
  })

  afterEach(() => assert.equal(state(), untouched))
  after(() => {
    for (const loop of Object.values(loops)) succeed({}, 'losetup', '-d', loop)
  })

  const race = (title: string, flags: readonly string[], races: readonly Race[], more: Partial<Races> = {}) =>
    itRaces(
      title,
      () => top,
      {flags, races, ...more},
      () => ({...loops, minor: minorOf(loops['other'] ?? '')}),
    )

  race('makes nothing elsewhere where it swaps a file’s place', ON_FILES, each('swaps', FILES, WAYS, '{cwd}/foreign'))
  race('mounts once or not at all where it swaps the place', ON_MOUNTS, [
    ...each('swaps', MOUNTS, WAYS, '{cwd}/foreign', '{allowed}'),
  ])
  race(
    'gets each call done once under a storm of signals',
    [...ON_FILES, ...ON_MOUNTS, ...ON_TASKS],
    [...each('storm', [...FILES, ...MOUNTS, 'sched'], STORMS, '{allowed}'), ['storm', 'mknod', 'threads']],
  )
  race('gets each call on files done once or not at all where callers end', ON_FILES, each('deaths', FILES, DEATHS))
  race(
    'gets each other call done once or not at all where callers end',
    [...ON_MOUNTS, ...ON_TASKS],
    [...each('deaths', [...MOUNTS, 'sched'], DEATHS, '{allowed}')],
  )
  race(
    'has done what was checked where it changes its memory',
    [...ON_FILES, ...ON_MOUNTS, ...ON_TASKS, '--bpf-devices', '--sysinfo', '--mknod-allow', 'b:7:{minor}'],
    [
      ...['mknod', 'setxattr', 'sched', 'attr', 'bpf', 'sysinfo'].map((call): Race => [
        'memory',
        call,
        '{cwd}/foreign',
      ]),
      ['memory', 'mount', '{cwd}/other', '{allowed}'],
    ],
    {before: 'mknod other b 7 {minor}'},
  )
  race('makes, renames, links and removes nodes of one name at once', ['--mknod'], [['names']])
  race('gets no other call done by filters or tracers of its own', ['--mknod'], [['filters']])
  race(
    'gets nothing done for root of a user namespace of its own',
    [...ON_FILES, ...ON_MOUNTS, ...ON_TASKS],
    [...[...FILES, ...MOUNTS, 'sched'].map((family): Race => ['nested', family, '{allowed}'])],
  )
  race('makes no bystander real-time where numbers of processes come again', ON_TASKS, [['pids']])

  describe('with memory that comes when it is touched', () => {
    skipUnless(existsSync(USERFAULTFD), `there is no ${USERFAULTFD}`)
    race('has done what was checked', ['--mknod', '--device', USERFAULTFD], [['userfault', '{cwd}/foreign']])
  })

  const state = () =>
    succeed({}, 'find', foreign, '-printf', '%p %y %m %U %G %T@ %l\\n') +
    program('getfattr', '--absolute-names', '-h', '-d', '-m', '-', '-R', foreign).stdout

  /** A loop device over an ext4 file system with one file, `name`. */
  const loopWith = (name: string) => {
    const [content, image] = [join(top, `${name}.d`), join(top, `${name}.img`)]
    mkdirSync(content)
    writeFileSync(join(content, name), '')
    succeed({}, 'truncate', '-s', '8M', image)
    succeed({}, 'mkfs.ext4', '-q', '-d', content, image)
    return succeed({}, 'losetup', '--show', '-f', image).trim()
  }
})

function minorOf(loop: string): string {
  return loop.replace('/dev/loop', '')
}
