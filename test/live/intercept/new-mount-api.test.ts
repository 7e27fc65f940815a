// fsopen, fsconfig, fsmount and their relatives in real containers, against what the kernel answers to root.

import assert from 'node:assert/strict'
import {execFileSync} from 'node:child_process'
import {mkdirSync, truncateSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {hintText} from '../../../src/intercept/hint.js'
import type {MountPolicy} from '../../../src/intercept/families/mount/policy.js'
import type {Policy} from '../../../src/intercept/policy.js'
import {WORK, buildTestProgram, runIntercepted} from '../../helpers/intercepted.js'
import type {InterceptedRun} from '../../helpers/intercepted.js'
import {CALLABLE_ABIS, inContainer, itOnEachAbi, outside, paired, word} from '../../helpers/raw-calls.js'
import {skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const [EPERM, EINVAL, ENFILE] = [-1, -22, -23]
const AT_FDCWD = -100
const AT_EMPTY_PATH = 0x1000
const F_EMPTY_PATH = 4
const [FLAG, STRING, BINARY, PATH, PATH_EMPTY, FD, CREATE, RECONFIGURE] = [0, 1, 2, 3, 4, 5, 6, 7]
const [NOSUID, NODEV, NOATIME, ATIME] = [2, 4, 0x10, 0x70]
const ABI = CALLABLE_ABIS[0]!
/** Of this process alone: its loop device shows no more of the image. */
const IMAGE = `disk-${process.pid}.img`

const call = (name: string, ...values: readonly (number | string)[]) => word(ABI, name, ...values)
const set = (fd: number, key: string, value: string) => call('fsconfig', fd, STRING, `s=${key}`, `s=${value}`, 0)
const flag = (fd: number, key: string) => call('fsconfig', fd, FLAG, `s=${key}`, 0, 0)
const command = (fd: number, cmd: number) => call('fsconfig', fd, cmd, 0, 0, 0)
/** What fsopen gives is 3, and the mount 4. */
const MOUNTED = [call('fsopen', 's=ext4', 1), set(3, 'source', IMAGE), command(3, CREATE), call('fsmount', 3, 1, 0)]
const MOVED = call('move_mount', 4, 's=', AT_FDCWD, 's=d', F_EMPTY_PATH)

describe('the new mount calls in a container', function () {
  this.timeout(60_000)
  skipUnlessPrivileged()
  skipUnlessPrograms('cc', 'mkfs.ext4')
  const directories = temporaryDirectories()

  function prepare(directory: string): void {
    mkdirSync(join(directory, 'd'))
    const image = join(directory, IMAGE)
    writeFileSync(image, '')
    truncateSync(image, 4 << 20)
    execFileSync('mkfs.ext4', ['-q', image], {stdio: 'ignore'})
  }

  function policyFor(directory: string, more: Partial<MountPolicy> = {}): Policy {
    const sources = [join(directory, IMAGE)]
    return {mount: {allowed: ['ext4', 'overlay'], fuse: {squashfs: 'squashfuse'}, shift: false, sources, ...more}}
  }

  /** Runs the words, then the shell line, in one container. */
  async function run(words: readonly string[], line: string, more = {}): Promise<InterceptedRun & {lines: string[]}> {
    const directory = directories()
    prepare(directory)
    const program = buildTestProgram('raw-calls', directory)
    const quoted = words.map((one) => `'${one}'`).join(' ')
    const ran = await runIntercepted(
      directory,
      ['sh', '-c', `${program} ${quoted}; ${line}`],
      policyFor(directory, more),
    )
    return {...ran, lines: ran.output.trimEnd().split('\n')}
  }

  const mounts = `grep " ${WORK}/d " /proc/self/mounts`

  itOnEachAbi("fail as the kernel's own, with its words", async (abi) => {
    const config = (...values: readonly (number | string)[]) => word(abi, 'fsconfig', ...values)
    const words = [
      word(abi, 'fsopen', 's=ext4', 2),
      word(abi, 'fsopen', 's=interceptor_none', 0),
      word(abi, 'fsopen', 's=', 0),
      word(abi, 'fsopen', 0, 0),
      word(abi, 'fsopen', 8, 0),
      word(abi, 'fsopen', 'u=10', 0),
      word(abi, 'fsopen', 'n=5000', 0),
      word(abi, 'fsopen', 'n=1048576', 0),
      word(abi, 'fsopen', 's=ext4', 1),
      config(3, FLAG, 's=interceptor', 0, 0),
      word(abi, 'read', 3, 'b=64', 64),
      config(3, STRING, 's=errors', 's=none', 0),
      word(abi, 'read', 3, 'b=64', 64),
      config(3, FLAG, 's=ro', 's=value', 0),
      config(3, FLAG, 's=ro', 0, 1),
      config(3, FLAG, 0, 0, 0),
      config(3, FLAG, 8, 0, 0),
      config(3, FLAG, 'u=10', 0, 0),
      config(3, FLAG, 's=', 0, 0),
      config(3, FLAG, 'n=255', 0, 0),
      config(3, FLAG, 'n=256', 0, 0),
      config(3, FLAG, 'n=1048576', 0, 0),
      config(3, STRING, 's=errors', 0, 0),
      config(3, STRING, 's=errors', 8, 0),
      config(3, STRING, 's=errors', 'n=256', 0),
      config(3, STRING, 's=errors', 's=', 0),
      config(3, FLAG, 's=source', 0, 0),
      config(3, STRING, 's=source', 's=one', 0),
      config(3, STRING, 's=source', 's=two', 0),
      config(3, BINARY, 's=none', 's=four', 4),
      config(3, BINARY, 's=none', 8, 4),
      config(3, BINARY, 's=none', 's=four', 0),
      config(3, BINARY, 's=none', 's=four', 1_048_577),
      config(3, PATH, 's=none', 's=/', AT_FDCWD),
      config(3, PATH, 's=none', 's=', AT_FDCWD),
      config(3, PATH, 's=none', 's=/', -1),
      config(3, PATH_EMPTY, 's=none', 's=', AT_FDCWD),
      config(3, FD, 's=none', 0, 0),
      config(3, FD, 's=none', 0, 99),
      config(3, FD, 's=none', 0, -1),
      config(3, 9, 0, 0, 0),
      config(3, CREATE, 's=key', 0, 0),
      config(3, RECONFIGURE, 0, 0, 0),
      config(-1, CREATE, 0, 0, 0),
      config(99, CREATE, 0, 0, 0),
      config(0, CREATE, 0, 0, 0),
      word(abi, 'fsmount', 3, 0, 0),
      word(abi, 'fsmount', 3, 2, 0),
      word(abi, 'fsmount', 3, 0, 0x30),
      word(abi, 'fsmount', 3, 0, 0x10_0000),
      word(abi, 'fsmount', 99, 0, 0),
      word(abi, 'fsmount', 0, 0, 0),
      word(abi, 'fspick', AT_FDCWD, 's=d', 16),
      word(abi, 'fspick', AT_FDCWD, 's=d', 0),
      word(abi, 'fspick', AT_FDCWD, 's=none', 0),
      word(abi, 'fspick', AT_FDCWD, 's=', 0),
      word(abi, 'fspick', AT_FDCWD, 8, 0),
      word(abi, 'fspick', 99, 's=d', 0),
      word(abi, 'move_mount', 3, 's=', AT_FDCWD, 's=d', F_EMPTY_PATH),
      word(abi, 'move_mount', 99, 's=', AT_FDCWD, 's=d', F_EMPTY_PATH),
      word(abi, 'mount_setattr', 3, 's=', AT_EMPTY_PATH, 'v=0,0,0,0', 32),
      word(abi, 'mount_setattr', 3, 's=', AT_EMPTY_PATH, 'v=0,0', 16),
    ]
    const directory = directories()
    const {answers, decisions} = await inContainer(directory, words, policyFor(directory), {prepare})
    const expected = outside(directories(), words, {prepare})
    assert.deepEqual(paired(words, answers), paired(words, expected))
    assert.ok(decisions.some(({reason}) => reason === "ext4: Unknown parameter 'interceptor'"))
  })

  itOnEachAbi('B12: leave to the kernel what it mounts for a user namespace', async (abi) => {
    const words = [
      word(abi, 'fsopen', 's=tmpfs', 1),
      word(abi, 'fsconfig', 3, STRING, 's=size', 's=1m', 0),
      word(abi, 'fsconfig', 3, CREATE, 0, 0, 0),
      word(abi, 'fsmount', 3, 1, NOATIME),
      word(abi, 'mount_setattr', 4, 's=', AT_EMPTY_PATH, `v=${NODEV},0,0,0`, 32),
      word(abi, 'move_mount', 4, 's=', AT_FDCWD, 's=d', F_EMPTY_PATH),
      word(abi, 'fspick', AT_FDCWD, 's=d', 0),
      word(abi, 'openat2', AT_FDCWD, 's=d', 'v=0,0,0', 24),
      word(abi, 'open_tree', AT_FDCWD, 's=d', 1),
      word(abi, 'move_mount', 7, 's=', AT_FDCWD, 's=d', F_EMPTY_PATH),
    ]
    const directory = directories()
    const {answers, decisions} = await inContainer(directory, words, policyFor(directory), {prepare})
    assert.deepEqual(answers, ['3', '0', '0', '4', '0', '0', '5', '6', '7', '0'])
    assert.deepEqual(
      decisions.map(({syscall, outcome}) => [syscall, outcome]),
      [['fsopen', 'continued']],
    )
  })

  it('B13: mount an image, with the attributes asked for, and go on with the descriptor', async () => {
    const words = [
      call('fsopen', 's=ext4', 1),
      set(3, 'source', `./${IMAGE}`),
      set(3, 'commit', '7'),
      command(3, CREATE),
      call('fsmount', 3, 1, 1),
      call('mount_setattr', 4, 's=', AT_EMPTY_PATH, `v=${NOATIME + 8},${ATIME + NODEV + 1},0,0`, 32),
      MOVED,
      call('mkdirat', 4, 's=made', 0o700),
      call('openat', 4, 's=lost+found', 0x1_0000),
    ]
    const {lines, decisions} = await run(words, mounts, {shift: true})
    assert.deepEqual(lines, [
      ...['3', '0', '0', '0', '4', '0', '0', '0', '5'].map((result) => `${ABI} ${result}`),
      `./${IMAGE} ${WORK}/d ext4 rw,nosuid,nodev,noexec,noatime,idmapped,errors=remount-ro,commit=7 0 0`,
    ])
    const moved = decisions.find(({syscall}) => syscall === 'move_mount')
    assert.equal(moved?.created?.path.toString(), `${WORK}/d`)
    assert.deepEqual(new Set(decisions.map(({outcome}) => outcome)), new Set(['emulated']))
  })

  it('lock nosuid and nodev for good', async () => {
    const change = (clear: number) => call('mount_setattr', AT_FDCWD, 's=d', 0, `v=0,${clear},0,0`, 32)
    const {lines} = await run([...MOUNTED, MOVED, change(NODEV), change(NOSUID)], mounts)
    assert.deepEqual(lines.slice(4, 7), [`${ABI} 0`, `${ABI} ${EPERM}`, `${ABI} ${EPERM}`])
    assert.match(lines[7] ?? '', /ext4 rw,nosuid,nodev/)
  })

  it('reconfigure what they have mounted, and nothing else', async () => {
    const words = [
      ...MOUNTED,
      MOVED,
      call('fspick', AT_FDCWD, 's=d', 0),
      flag(5, 'ro'),
      set(5, 'errors', 'panic'),
      command(5, RECONFIGURE),
      call('fspick', AT_FDCWD, 's=d/lost+found', 0),
      call('fspick', AT_FDCWD, 's=/tmp', 0),
    ]
    const {lines} = await run(words, `${mounts}; : > d/none`)
    assert.deepEqual(
      lines.slice(4, 11).map((line) => line.split(' ')[1]),
      ['0', '5', '0', String(EPERM), '0', String(EINVAL), '6'],
    )
    // The file system is read-only, not the mount.
    assert.match(lines.at(-2) ?? '', /ext4 ro,nosuid,nodev/)
    assert.match(lines.at(-1) ?? '', /Read-only file system/)
  })

  it('try a move once more after it has failed', async () => {
    const failed = call('move_mount', 4, 's=', AT_FDCWD, 's=none', F_EMPTY_PATH)
    const onFile = call('move_mount', 4, 's=', AT_FDCWD, `s=${IMAGE}`, F_EMPTY_PATH)
    const {lines} = await run([...MOUNTED, failed, onFile, MOVED], mounts)
    assert.deepEqual(lines.slice(4, 7), [`${ABI} -2`, `${ABI} ${EINVAL}`, `${ABI} 0`])
    assert.equal(lines.length, 8)
  })

  it('refuse what the policy does not name, with a hint', async () => {
    const words = [
      call('fsopen', 's=btrfs', 0),
      call('fsopen', 's=squashfs', 0),
      call('fsopen', 's=ext4', 0),
      set(3, 'errors', 'panic'),
      set(3, 'journal_path', '/dev/sda'),
      flag(3, 'errors=panic'),
      set(3, 'source', 'other.img'),
      command(3, CREATE),
      call('fsopen', 's=ext4', 0),
      set(4, 'source', '/dev/none'),
      command(4, CREATE),
    ]
    const {lines, decisions} = await run(['create|other.img', ...words], 'true')
    assert.deepEqual(
      lines.slice(1).map((line) => Number(line.split(' ')[1])),
      [EPERM, -38, 3, EPERM, EPERM, EINVAL, 0, EPERM, 4, 0, -2],
    )
    // Workers hand over what they have told on their own: in no order among them.
    const told = decisions.map(
      ({outcome, errno, hint}) => `${outcome} ${errno ?? 0} ${hint === null ? '' : hintText(hint)}`,
    )
    assert.ok(told.includes('refused 1 --mount-allowed btrfs would allow it'), told.join('\n'))
    assert.ok(told.includes('failed 38 '), told.join('\n'))
    assert.ok(told.includes('refused 1 --mount-source other.img would allow it'), told.join('\n'))
  })

  it('serve nobody without the capability, or from a user namespace of its own', async () => {
    const CLONE_NEWUSER = 0x1000_0000
    const dropped = await run([...MOUNTED.slice(0, 2), 'drop|21', command(3, CREATE), call('fsmount', 3, 0, 0)], 'true')
    assert.deepEqual(dropped.lines.slice(3), [`${ABI} ${EPERM}`, `${ABI} ${EPERM}`])
    const nested = await run([...MOUNTED, `unshare|${CLONE_NEWUSER}`, command(3, CREATE), MOVED], 'true')
    assert.deepEqual(nested.lines.slice(5), [`${ABI} ${EINVAL}`, `${ABI} ${EPERM}`])
  })

  it('keep a bound on contexts, and free those that are closed', async () => {
    const many = Array.from({length: 60}, () => call('fsopen', 's=ext4', 1))
    const reused = Array.from({length: 120}, () => [call('fsopen', 's=ext4', 1), call('close', 3)]).flat()
    const program = `${WORK}/raw-calls`
    const {lines} = await run(many, `${program} ${reused.map((one) => `'${one}'`).join(' ')}`)
    const results = lines.map((line) => Number(line.split(' ')[1]))
    assert.deepEqual([results[47], results[48], results[59]], [50, ENFILE, ENFILE])
    assert.ok(results.slice(60).every((result) => result === 3 || result === 0))
  })

  it('let the loop device of an image go with its mount', async () => {
    // losetup shows none where it finds no nodes.
    const script = `
      count() { cat /sys/block/loop*/loop/backing_file 2>/dev/null | grep -cx ${WORK}/${IMAGE}; }
      count; umount d; n=0; until [ $(count) = 0 ] || [ $n = 100 ]; do n=$((n+1)); sleep 0.1; done; count; true`
    const {lines, decisions} = await run([...MOUNTED, MOVED], script)
    assert.deepEqual(lines.slice(-2), ['1', '0'])
    assert.equal(decisions.filter(({outcome}) => outcome === 'emulated').length, 5)
  })

  it('mount an overlay over directories of the container', async () => {
    const options = ['lowerdir', 'upperdir', 'workdir'].map((key) => set(3, key, key))
    const words = [call('fsopen', 's=overlay', 1), ...options, command(3, CREATE), call('fsmount', 3, 1, 0), MOVED]
    const directoriesMade = ['mkdir|lowerdir', 'mkdir|upperdir', 'mkdir|workdir', 'create|lowerdir/below']
    const {lines} = await run([...directoriesMade, ...words], 'ls d; : > d/above; ls upperdir')
    assert.deepEqual(
      lines.slice(4).map((line) => line.replace(`${ABI} `, '')),
      ['3', '0', '0', '0', '0', '4', '0', 'below', 'above'],
    )
  })
})
