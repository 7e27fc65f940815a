// Real containers from hand-made plans: how a command starts and ends, what it sees, and that nothing is left.

import assert from 'node:assert/strict'
import {chmodSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {launch} from '../../../src/container/launch/index.js'
import type {ContainerEnd} from '../../../src/container/launch/index.js'
import type {FilesystemStep, LaunchPlan} from '../../../src/container/plan.js'
import {LaunchError} from '../../../src/errors.js'
import {bytes, denyProgram, planOf, steps} from '../../helpers/launch-plan.js'
import {descendantsOf, membersOf, pidNamespace, until} from '../../helpers/processes.js'
import {PROJECT, succeed} from '../../helpers/program.js'
import {skipUnlessPrivileged} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const HOST_FIRST = 1_000_000

async function run(command: readonly string[], changes: Partial<LaunchPlan> = {}): Promise<ContainerEnd> {
  const container = await launch(planOf(command, changes), {mapped: () => undefined})
  container.go()
  return container.ended
}

const script = (text: string, changes: Partial<LaunchPlan> = {}): Promise<ContainerEnd> =>
  run(['sh', '-c', text], changes)

const exited = (status: number): ContainerEnd => ({kind: 'exited', status})

/** On /mnt of the container. */
function bindOf(source: string, idmap: boolean): FilesystemStep {
  return {kind: 'bind', source: bytes(source), target: bytes('/mnt'), idmap, recursive: false, flags: {}}
}

describe('launching', () => {
  skipUnlessPrivileged()
  const makeDirectory = temporaryDirectories()

  /** The command writes to `out` in a directory of the host that container root owns. */
  async function output(command: readonly string[], changes: Partial<LaunchPlan> = {}): Promise<string> {
    const directory = makeDirectory()
    const step = bindOf(directory, true)
    const {filesystem = steps()} = changes
    const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
    const end = await script(`${quoted} > /mnt/out 2>&1`, {...changes, filesystem: [...filesystem, step]})
    return `${readFileSync(join(directory, 'out'), 'utf8')}${end.kind === 'exited' ? '' : end.kind}`
  }

  describe('ends of the command', () => {
    it('gives its status', async () => {
      for (const status of [0, 1, 42, 255]) assert.deepEqual(await script(`exit ${status}`), exited(status))
    })

    it('gives the signal that killed it', async () => {
      assert.deepEqual(await script('kill -TERM $$'), {kind: 'signaled', signal: 15, coreDumped: false})
      assert.deepEqual(await script('kill -KILL $$'), {kind: 'signaled', signal: 9, coreDumped: false})
    })

    it('tells a missing command from one that is no program', async () => {
      const kindOf = async (command: string): Promise<unknown> => {
        const end = await run([command])
        return end.kind === 'not-started' ? {errno: end.errno, notFound: end.notFound, exists: end.exists} : end
      }
      assert.deepEqual(await kindOf('no-such-command'), {errno: 2, notFound: true, exists: false})
      assert.deepEqual(await kindOf('/no/such/command'), {errno: 2, notFound: true, exists: false})
      assert.deepEqual(await kindOf('/etc'), {errno: 13, notFound: false, exists: true})
      assert.deepEqual(await kindOf('/etc/passwd'), {errno: 13, notFound: false, exists: true})
      assert.deepEqual(await kindOf(''), {errno: 2, notFound: true, exists: false})
    })

    it('takes orphans along', async () => {
      const container = await launch(planOf(['sh', '-c', 'setsid sleep 1000 & exit 4']), {mapped: () => undefined})
      const inode = pidNamespace(container.initPid)
      assert.deepEqual(membersOf(inode).length, 2)
      container.go()
      assert.deepEqual(await container.ended, exited(4))
      assert.deepEqual(membersOf(inode), [])
    })

    it('ends on demand', async () => {
      const container = await launch(planOf(['sleep', '1000']), {mapped: () => undefined})
      container.go()
      container.kill()
      assert.deepEqual(await container.ended, {kind: 'signaled', signal: 9, coreDumped: false})
    })

    it('passes a signal on that only the supervisor got', async () => {
      const container = await launch(planOf(['sh', '-c', 'trap "exit 9" TERM; while :; do sleep 0.05; done']), {
        mapped: () => undefined,
      })
      container.go()
      await until(() => (BigInt(signalsCaught(container.initPid)) & (1n << 14n)) !== 0n, 'the shell has its trap')
      container.forward(15)
      assert.deepEqual(await container.ended, exited(9))
    })
  })

  describe('the search for the command', () => {
    const directory = makeDirectory
    const place = (content: string, mode: number): string => {
      const made = directory()
      chmodSync(made, 0o755)
      writeFileSync(join(made, 'prog'), content)
      chmodSync(join(made, 'prog'), mode)
      return made
    }
    const searched = (...path: readonly string[]): Promise<ContainerEnd> =>
      run(['prog', 'a b'], {environment: [bytes(`PATH=${path.join(':')}`)]})

    it('goes along PATH of the environment, past what may not be executed', async () => {
      const denied = place('#!/bin/sh\nexit 1\n', 0o644)
      const good = place('#!/bin/sh\n[ "$1" = "a b" ] && exit 5\n', 0o755)
      assert.deepEqual(await searched('/nowhere', '/etc/passwd', denied, good), exited(5))
      assert.deepEqual(await searched(denied, '/nowhere'), {
        kind: 'not-started',
        errno: 13,
        notFound: false,
        exists: true,
      })
    })

    it('does not take a directory that it may not search for the reason', async () => {
      const closed = place('', 0o755)
      chmodSync(closed, 0o700)
      assert.deepEqual(await searched(closed, '/nowhere'), {
        kind: 'not-started',
        errno: 2,
        notFound: true,
        exists: false,
      })
    })

    it('gives a script without an interpreter line to the shell', async () => {
      assert.deepEqual(await searched(place('[ "$1" = "a b" ] && exit 6\n', 0o755)), exited(6))
    })

    it('tells of a file whose interpreter is missing', async () => {
      const end = await searched(place('#!/no/such/interpreter\n', 0o755))
      assert.deepEqual(end, {kind: 'not-started', errno: 2, notFound: true, exists: true})
    })
  })

  describe('what the command sees', () => {
    it('has container ids, its own host name and is process 2 of its pid namespace', async () => {
      assert.equal(await output(['sh', '-c', 'id -u; id -g; id -G; hostname; echo $PPID']), '0\n0\n0\ninside\n2\n')
    })

    it('has no descriptor but the three streams', async () => {
      // 3 is what ls itself opened.
      assert.equal(await output(['ls', '/proc/self/fd']), '0\n1\n2\n3\n')
    })

    it('has default signals, nothing blocked, and ignores what the supervisor was told to ignore', async () => {
      const text = await output(['grep', '-E', 'Sig(Blk|Ign)', '/proc/self/status'], {ignoredSignals: [1, 10]})
      assert.equal(text, 'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000201\n')
    })

    it('is the user that was asked for, without capabilities', async () => {
      const end = await script(
        'test "$(id -u):$(id -g)" = 1000:100 && grep -q "^CapEff:.0000000000000000$" /proc/self/status &&' +
          ' grep -q "^CapPrm:.0000000000000000$" /proc/self/status',
        {uid: 1000, gid: 100},
      )
      assert.deepEqual(end, exited(0))
    })

    it("can't clear the flags of a staged mount, nor uncover what it hides", async () => {
      const text = await output([
        'sh',
        '-c',
        'for what in "mount -o remount,bind,rw /" "mount -o remount,bind,dev /tmp" "umount /dev/null" "umount /tmp"; do' +
          ' $what 2>/dev/null && echo "$what"; done; echo done',
      ])
      assert.equal(text, 'done\n')
    })

    it('forces only what it mounted itself out of its tree', async () => {
      const text = await output([
        'sh',
        '-c',
        'mkdir /tmp/own; mount -t tmpfs none /tmp/own; for at in /tmp/own /dev /sys /tmp /; do' +
          ' umount -f $at 2>/dev/null && echo "$at"; done; echo done',
      ])
      // Before Linux 6.15 nobody but root of the host forces anything.
      assert.match(text, /^(?:\/tmp\/own\n)?done\n$/u)
    })

    it("can't look into its init", async () => {
      const text = await output([
        'sh',
        '-c',
        'for f in exe root fd/3 ns/user; do readlink /proc/1/$f; done; cat /proc/1/environ; echo done',
      ])
      assert.match(text, /done\n$/u)
      assert.doesNotMatch(text.replace(/^.*(Permission denied|done)$/gmu, ''), /\S/u)
    })

    it('has only a loopback interface, which is up, without the network', async () => {
      const text = await output(['sh', '-c', 'tail -n +3 /proc/net/dev | cut -d: -f1; cat /sys/class/net/lo/flags'], {
        network: 'none',
        filesystem: [...steps(), {kind: 'sysfs', target: bytes('/sys')}],
      })
      assert.match(text, /^ *lo\n0x9\n$/u)
    })

    it('is refused what the deny filter refuses, as is init', async () => {
      const sethostname = process.arch === 'arm64' ? 161 : 170
      assert.equal(
        await output(['sh', '-c', 'hostname other 2>/dev/null || echo refused; grep ^Seccomp: /proc/1/status'], {
          denyFilter: denyProgram(sethostname, 1),
        }),
        'refused\nSeccomp:\t2\n',
      )
    })
  })

  describe('the file system', () => {
    it('makes files of container root in an idmapped directory belong to root', async () => {
      const directory = makeDirectory()
      const filesystem = [...steps(), bindOf(directory, true)]
      assert.deepEqual(await script('touch /mnt/file', {filesystem}), exited(0))
      assert.equal(statSync(join(directory, 'file')).uid, 0)
    })

    it('never leaves a hostile root through its links', async () => {
      const root = makeDirectory()
      const outside = makeDirectory()
      chmodSync(root, 0o777)
      chmodSync(outside, 0o777)
      symlinkSync(outside, join(root, 'absolute'))
      symlinkSync(`../../../../../../..${outside}`, join(root, 'relative'))
      const plan = (target: string): Partial<LaunchPlan> => ({
        filesystem: [
          {kind: 'root', source: bytes(root), idmap: true, recursive: true, flags: {}},
          {kind: 'directory', target: bytes(target), mode: 0o755},
        ],
      })
      for (const target of ['/absolute/x', '/relative/x', `/../../../..${outside}`])
        await run(['true'], plan(target)).catch((error: unknown) => assert.ok(error instanceof LaunchError))
      assert.deepEqual(readdirSync(outside), [])
    })

    it('makes mount points only where container root may', async () => {
      const root = makeDirectory()
      mkdirSync(join(root, 'theirs'), {mode: 0o755})
      const plan = planOf(['true'], {
        filesystem: [
          {kind: 'root', source: bytes(root), idmap: false, recursive: true, flags: {}},
          {kind: 'directory', target: bytes('/theirs/new'), mode: 0o755},
        ],
      })
      await assert.rejects(launch(plan, {mapped: () => undefined}), /^LaunchError: cannot make \/theirs\/new/u)
      assert.deepEqual(readdirSync(join(root, 'theirs')), [])
    })

    it('names what cannot be mapped, and the way round', async () => {
      await assert.rejects(
        launch(planOf(['true'], {filesystem: [...steps(), bindOf('/proc', true)]}), {mapped: () => undefined}),
        (error: unknown) =>
          error instanceof LaunchError &&
          error.message.startsWith('cannot map the ids of /proc: its file system') &&
          error.hints.length > 0,
      )
    })
  })

  describe('failures', () => {
    it('names a missing working directory', async () => {
      await assert.rejects(
        launch(planOf(['true'], {workdir: bytes('/no/such')}), {mapped: () => undefined}),
        /cannot change to the directory \/no\/such: no such file or directory \(ENOENT\)/u,
      )
    })

    it('names a missing source', async () => {
      await assert.rejects(
        launch(planOf(['true'], {filesystem: [...steps(), bindOf('/no/such', false)]}), {mapped: () => undefined}),
        /cannot open \/no\/such: no such file/u,
      )
    })

    it('passes on what joining the cgroup threw, and leaves nothing', async () => {
      const before = descendantsOf(process.pid)
      await assert.rejects(
        launch(planOf(['true']), {
          mapped: () => {
            throw new Error('no cgroup')
          },
        }),
        /no cgroup/u,
      )
      assert.deepEqual(descendantsOf(process.pid), before)
    })

    it('reports a map that the kernel refuses', async () => {
      const uidMap = [
        {inside: 0, outside: HOST_FIRST, count: 10},
        {inside: 5, outside: HOST_FIRST + 100, count: 10},
      ]
      await assert.rejects(launch(planOf(['true'], {uidMap}), {mapped: () => undefined}), /cannot write .* id maps/u)
    })
  })

  it('leaves nothing after fifty runs', () => {
    const fixture = join(PROJECT, 'test/fixtures/launch-many.ts')
    const words = [process.execPath, '--import', 'tsx', fixture, '50']
    const printed = succeed({}, 'unshare', '--mount', '--propagation', 'private', ...words)
    const {before, ends, after} = JSON.parse(printed) as {before: unknown; ends: unknown[]; after: unknown}
    assert.deepEqual(ends, Array(50).fill(exited(0)))
    assert.deepEqual(after, before)
  })
})

/** SigCgt of the command, which is the child of init. */
function signalsCaught(initPid: number): string {
  const command = descendantsOf(initPid)[0]
  const text = command === undefined ? '' : readFileSync(`/proc/${command}/status`, 'latin1')
  return `0x${/^SigCgt:\t([0-9a-f]+)$/mu.exec(text)?.[1] ?? '0'}`
}
