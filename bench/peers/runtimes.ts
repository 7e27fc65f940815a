// Other programs that run one command in a container: how each is started for the same job, `true`.

import {execFileSync} from 'node:child_process'
import {mkdirSync, statfsSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import type {Context} from '../figure.js'
import {missing, program} from '../needs.js'
import type {Program} from '../subjects/timed.js'

const CGROUP2_SUPER_MAGIC = 0x6367_7270
const CGROUPS = '/sys/fs/cgroup'
const CONTAINER = 'interceptor-bench'
/** The first id outside, for ids from 0 inside. */
const FIRST_ID = 100_000
const IDS = 65_536
/** A merged /usr, as distributions have had it for years; runtimes can't take / itself for a root. */
const LINKS = ['bin', 'lib', 'lib64', 'sbin']

/** Those that are here; the others are left out with a word. */
export function runtimes(context: Context): readonly Program[] {
  const found: Program[] = []
  if (isHere(context, 'bwrap', 'bubblewrap')) found.push(bubblewrap())
  for (const name of ['crun', 'runc'] as const) {
    if (!isHere(context, name, name)) continue
    const runtime = name === 'crun' ? crun(context) : runc(context)
    try {
      const [command = '', ...words] = runtime.words
      // Never a device of the host: see subjects/timed.ts.
      execFileSync(command, words, {cwd: runtime.cwd, input: '', stdio: 'pipe', encoding: 'utf8'})
      found.push(runtime)
    } catch (error) {
      const {stderr = ''} = error as {readonly stderr?: string}
      context.leaveOut(name, `it can't run here: ${stderr.trim().split('\n').at(-1) ?? ''}`)
    }
  }
  return found
}

function isHere(context: Context, name: string, debianPackage: string): boolean {
  const lacking = missing([program(name, debianPackage)])
  if (lacking !== undefined) context.leaveOut(name, lacking)
  return lacking === undefined
}

/** The network of the host, as we have it too. */
function bubblewrap(): Program {
  const words = [
    'bwrap',
    '--unshare-all',
    '--share-net',
    '--dev',
    '/dev',
    '--proc',
    '/proc',
    '--ro-bind',
    '/',
    '/',
    'true',
  ]
  return {name: 'bwrap', words, cwd: '/'}
}

/**
 * crun gives its standard streams to the container's root, whatever they are: of the host's /dev/null that would be the
 * owner from then on. So it gets files of its own. It refuses a host with both kinds of cgroups, so that there it gets
 * to see the new ones alone.
 */
function crun(context: Context): Program {
  const words = ['crun', '--root', context.directory(), '--cgroup-manager=disabled', 'run', CONTAINER]
  const isUnified = statfsSync(CGROUPS).type === CGROUP2_SUPER_MAGIC
  const script = 'exec "$@" <config.json >output'
  const around = isUnified
    ? ['sh', '-c', script, 'sh']
    : ['unshare', '--mount', '--', 'sh', '-c', `mount -t cgroup2 bench ${CGROUPS} && ${script}`, 'sh']
  return {name: 'crun', words: [...around, ...words], cwd: bundle(context)}
}

function runc(context: Context): Program {
  return {name: 'runc', words: ['runc', '--root', context.directory(), 'run', CONTAINER], cwd: bundle(context)}
}

/** A directory as runtimes want it: config.json of the OCI runtime specification, and a root. */
function bundle(context: Context): string {
  const directory = context.directory()
  for (const name of ['dev', 'proc', 'usr']) mkdirSync(join(directory, 'rootfs', name), {recursive: true})
  for (const name of LINKS) symlinkSync(`usr/${name}`, join(directory, 'rootfs', name))
  const mapping = [{containerID: 0, hostID: FIRST_ID, size: IDS}]
  const configuration = {
    ociVersion: '1.0.0',
    process: {
      user: {uid: 0, gid: 0},
      args: ['true'],
      env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
      cwd: '/',
      noNewPrivileges: true,
    },
    root: {path: 'rootfs', readonly: true},
    mounts: [
      {destination: '/proc', type: 'proc', source: 'proc'},
      {destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755']},
      {destination: '/usr', type: 'bind', source: '/usr', options: ['rbind', 'ro']},
    ],
    linux: {
      namespaces: ['user', 'pid', 'mount', 'ipc', 'uts'].map((type) => ({type})),
      uidMappings: mapping,
      gidMappings: mapping,
    },
  }
  writeFileSync(join(directory, 'config.json'), JSON.stringify(configuration))
  return directory
}
