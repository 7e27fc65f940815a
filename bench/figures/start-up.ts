// From nothing to the end of a command that does nothing: what a short job pays.

import {spawnSync} from 'node:child_process'

import type {Comparison, Context, Figure, Need} from '../figure.js'
import {alternate} from '../measure.js'
import {missing, program, root} from '../needs.js'
import {runtimes} from '../peers/runtimes.js'
import {INTERCEPTOR} from '../subjects/programs.js'
import {secondsOf, timeProgram} from '../subjects/timed.js'
import type {Program} from '../subjects/timed.js'
import {hasOrdinaryUser, ordinaryUser} from '../../test/helpers/ordinary-user.js'

const ROUNDS = 40
const TARGET = {atMost: 2.5}
const OURS = 'interceptor'
const OURS_MKNOD = 'interceptor --mknod'
const NODE = 'node -e 0'
const NODE_TWICE = 'node -e 0, twice'

/** Ourselves with and without an interception, and Node alone. */
function ours(words: readonly string[], place: Omit<Program, 'name' | 'words'>): Record<string, Program> {
  const [node = ''] = words
  const run = [...words, 'run', '--no-config', '--quiet']
  // With this set Node parses certificates whenever it starts, for longer than all else takes: it would hide what we do.
  const where = {...place, env: {...place.env, NODE_EXTRA_CA_CERTS: undefined}}
  return {
    [OURS]: {...where, name: OURS, words: [...run, '--', 'true']},
    [OURS_MKNOD]: {...where, name: OURS_MKNOD, words: [...run, '--mknod', '--', 'true']},
    [NODE]: {...where, name: NODE, words: [node, '-e', '0']},
  }
}

const mapAuto: Need = () =>
  spawnSync('unshare', ['--help'], {encoding: 'utf8'}).stdout.includes('--map-auto')
    ? undefined
    : 'needs unshare of util-linux 2.38'

/** The least that an ordinary user's run can do: Node, and Node again in a user namespace with a range of ids. */
function twice([node = '']: readonly string[], place: Omit<Program, 'name' | 'words'>): Record<string, Program> {
  const script = '"$0" -e 0 && exec unshare --user --mount --map-auto --map-root-user "$0" -e 0'
  const env = {...place.env, NODE_EXTRA_CA_CERTS: undefined}
  return {[NODE_TWICE]: {...place, env, name: NODE_TWICE, words: ['sh', '-c', script, node]}}
}

async function time(context: Context, programs: Readonly<Record<string, Program>>) {
  const entries = Object.entries(programs).map(([name, one]) => [name, () => timeProgram(context, one)] as const)
  const {signal} = context
  const values = await alternate(Object.fromEntries(entries), {rounds: context.rounds(ROUNDS), warmUps: 2, signal})
  return (name: string) => secondsOf(name, values[name] ?? [])
}

async function compareWithNode(context: Context, who: string, programs: Record<string, Program>) {
  const series = await time(context, programs)
  const [subject, baseline] = [series(OURS), series(NODE)]
  const note = 'NODE_EXTRA_CA_CERTS is not set'
  const comparisons: Comparison[] = [
    {what: `${who}: run -- true`, subject, baseline, target: TARGET, note},
    {what: `${who}: run --mknod -- true`, subject: series(OURS_MKNOD), baseline},
  ]
  if (programs[NODE_TWICE] === undefined) return comparisons
  const least = series(NODE_TWICE)
  return [
    ...comparisons,
    {what: `${who}: Node twice`, subject: least, baseline, note: programs[NODE_TWICE].words.slice(2, 3).join('')},
    {what: `${who}: run -- true`, subject, baseline: least},
  ]
}

async function run(context: Context): Promise<readonly Comparison[]> {
  const here = {cwd: context.directory()}
  const own = ours([process.execPath, INTERCEPTOR], here)
  if (missing([root]) !== undefined)
    return compareWithNode(context, 'rootless', {...own, ...twice([process.execPath], here)})
  const comparisons = await compareWithNode(context, 'as root', own)
  if (!hasOrdinaryUser()) {
    context.leaveOut('rootless', 'there is no user interceptor-test (`node scripts/setup.mjs test` makes it)')
    return comparisons
  }
  const {words, home, uid, gid} = ordinaryUser(context.directory())
  const place = {cwd: home, uid, gid, env: {HOME: home, XDG_RUNTIME_DIR: undefined}}
  const lacking = missing([program('newuidmap', 'uidmap'), mapAuto])
  if (lacking !== undefined) context.leaveOut('rootless: Node twice', lacking)
  const theirs = {...ours(words, place), ...(lacking === undefined && twice(words, place))}
  return [...comparisons, ...(await compareWithNode(context, 'rootless', theirs))]
}

export const startUp: Figure = {
  name: 'start-up',
  title: 'a container and its command `true` / `node -e 0`',
  needs: [],
  run,
}

async function runBeside(context: Context): Promise<readonly Comparison[]> {
  const others = runtimes(context)
  const programs = ours([process.execPath, INTERCEPTOR], {cwd: context.directory()})
  const series = await time(context, {...programs, ...Object.fromEntries(others.map((one) => [one.name, one]))})
  return others.map(({name, words}) => ({
    what: `beside ${name}`,
    subject: series(OURS),
    baseline: series(name),
    note: words.join(' '),
  }))
}

export const runtimesFigure: Figure = {
  name: 'runtimes',
  title: 'a container and its command `true` / the same by other programs, as root',
  needs: [root],
  run: runBeside,
}
