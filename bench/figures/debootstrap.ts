// The whole job that the program is for, with the packages on the disk: as plain root, under us, and under others.

import {execFileSync} from 'node:child_process'
import {join} from 'node:path'

import type {Comparison, Context, Figure, Target} from '../figure.js'
import {alternate} from '../measure.js'
import {missing, program, root} from '../needs.js'
import {makeMirror} from '../peers/debian-mirror.js'
import {INTERCEPTOR} from '../subjects/programs.js'
import {secondsOf, timeJob} from '../subjects/timed.js'
import type {Program, Timed} from '../subjects/timed.js'
import {hasOrdinaryUser, ordinaryUser} from '../../test/helpers/ordinary-user.js'

const ROUNDS = 3
const SUITE = 'bookworm'
const VARIANT = '--variant=minbase'
const TREE = 'rootfs'
const FLAGS = ['--no-config', '--quiet', '--mknod', '--sysinfo']
/** debootstrap mounts in its tree; what an interrupted one leaves is gone with the namespace. */
const ALONE = ['unshare', '--mount', '--']
const STRACE = ['strace', '-f', '--seccomp-bpf', '-e', 'trace=mknod,mknodat', '-o', '/dev/null', '--']

interface Job extends Program {
  readonly target?: Target
  readonly note?: string
  /** What removes the tree afterwards, which is not timed. */
  readonly removal: readonly string[]
}

/** Plain root first. */
function jobs(context: Context): readonly Job[] {
  const mirror = makeMirror(context, SUITE, [VARIANT])
  const words = ['debootstrap', VARIANT, SUITE, TREE, mirror.url]
  // A container sees the host's files, but not in every directory.
  const bind = ['--bind', `${mirror.directory}:${mirror.directory}:ro`]
  const removal = ['rm', '-rf', '--one-file-system', TREE]
  const own = (...before: readonly string[]) => ({words: [...before, ...words], cwd: context.directory(), removal})
  const found: Job[] = [
    {...own(...ALONE), name: 'plain, as root'},
    {
      ...own(process.execPath, INTERCEPTOR, 'run', ...FLAGS, ...bind, '--'),
      name: 'interceptor, as root',
      target: {atMost: 1.05},
      note: `run ${FLAGS.slice(2).join(' ')} -- ${words.slice(0, -1).join(' ')} MIRROR`,
    },
  ]
  if (hasOrdinaryUser() && missing([program('newuidmap', 'uidmap')]) === undefined) {
    const {words: ours, home, uid, gid} = ordinaryUser(context.directory())
    const place = {cwd: home, uid, gid, env: {HOME: home, XDG_RUNTIME_DIR: undefined}}
    found.push({
      ...place,
      name: 'interceptor, rootless',
      words: [...ours, 'run', ...FLAGS, ...bind, '--', ...words],
      removal: removal.with(-1, join(home, TREE)),
      target: {atMost: 1.3},
    })
  } else context.leaveOut('rootless', 'needs newuidmap and the user interceptor-test (`node scripts/setup.mjs test`)')
  const lacking = missing([program('strace')])
  if (lacking === undefined)
    found.push({...own(...ALONE, ...STRACE), name: 'strace', note: STRACE.slice(0, -1).join(' ')})
  else context.leaveOut('strace', lacking)
  return found
}

async function time(context: Context, job: Job): Promise<Timed> {
  const [command = '', ...words] = job.removal
  const remove = (): void => void execFileSync(command, words, {cwd: job.cwd, stdio: 'ignore'})
  try {
    return await timeJob(context, job)
  } finally {
    remove()
    // What others left to be written is not ours to wait for.
    execFileSync('sync')
  }
}

async function run(context: Context): Promise<readonly Comparison[]> {
  const all = jobs(context)
  const subjects = all.map((job) => [job.name, () => time(context, job)] as const)
  // Minutes each, so that a quick look has one round.
  const rounds = context.isQuick ? 1 : ROUNDS
  const results = await alternate(Object.fromEntries(subjects), {rounds, warmUps: 0, signal: context.signal})
  const seconds = ({name}: Job) =>
    secondsOf(
      name,
      results[name]!.map((timed) => timed.seconds),
    )
  const processor = ({name}: Job) =>
    secondsOf(
      name,
      results[name]!.map(({userSeconds, systemSeconds}) => userSeconds + systemSeconds),
    )
  const [plain, ...others] = all
  const clock = others.map((job) => ({
    what: job.name,
    subject: seconds(job),
    baseline: seconds(plain!),
    ...(job.target && {target: job.target}),
    ...(job.note !== undefined && {note: job.note}),
  }))
  const cpu = others.map((job) => ({what: `${job.name}: CPU`, subject: processor(job), baseline: processor(plain!)}))
  return [...clock, ...cpu]
}

export const debootstrap: Figure = {
  name: 'debootstrap',
  title: 'debootstrap --variant=minbase from a local mirror / the same as plain root',
  needs: [root, program('debootstrap'), program('wget'), program('xz', 'xz-utils')],
  run,
}
