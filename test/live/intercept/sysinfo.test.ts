import assert from 'node:assert/strict'
import {execFileSync} from 'node:child_process'
import {existsSync} from 'node:fs'
import {join} from 'node:path'

import {createCgroup} from '../../../src/container/cgroup/index.js'
import type {SysinfoFigures} from '../../../src/intercept/families/sysinfo/layout.js'
import {encodeSysinfo} from '../../../src/intercept/families/sysinfo/layout.js'
import type {InterceptedRun} from '../../helpers/intercepted.js'
import {buildTestProgram, runIntercepted} from '../../helpers/intercepted.js'
import {canCall, NO_INT80} from '../../helpers/raw-calls.js'
import {skipTestUnless, skipUnlessPrivileged, skipUnlessPrograms} from '../../helpers/skip.js'
import {temporaryDirectories} from '../../helpers/temporary.js'

const MIB = 1 << 20
const LIMIT = 256 * MIB
const EFAULT = 14

interface Line {
  readonly result: number
  readonly bytes: Buffer
}

/** By way of calling, as native/test/sysinfo.c prints them. */
function parse(output: string): Readonly<Record<string, Line>> {
  return Object.fromEntries(
    output
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' '))
      .map(([way = '', result, hex = '']) => [way, {result: Number(result), bytes: Buffer.from(hex, 'hex')}]),
  )
}

function figures({bytes}: Line): SysinfoFigures {
  const uint64 = (offset: number) => Number(bytes.readBigUInt64LE(offset))
  return {
    uptimeSeconds: uint64(0),
    loads: [uint64(8) / 65536, uint64(16) / 65536, uint64(24) / 65536],
    totalRam: uint64(32),
    freeRam: uint64(40),
    sharedRam: uint64(48),
    bufferRam: uint64(56),
    totalSwap: uint64(64),
    freeSwap: uint64(72),
    processes: bytes.readUInt16LE(80),
  }
}

const untouched = (bytes: Buffer) => bytes.every((byte) => byte === 0xa5)

describe('sysinfo in a container', () => {
  skipUnlessPrivileged()
  skipUnlessPrograms('cc')
  const temporary = temporaryDirectories()
  const isX86 = process.arch === 'x64'

  async function run(script: (program: string) => string, memoryBytes?: number): Promise<InterceptedRun> {
    const directory = temporary()
    const program = buildTestProgram('sysinfo', directory)
    const limit = memoryBytes === undefined ? {} : {memoryBytes}
    const cgroup = createCgroup({name: 'sysinfo', rootless: false, ...limit})
    try {
      return await runIntercepted(directory, ['sh', '-c', script(program)], {sysinfo: {}}, {}, [], cgroup)
    } finally {
      cgroup.destroy()
    }
  }

  it('lays the figures out as this kernel does', function () {
    skipTestUnless(this, isX86, 'has no second layout')
    skipTestUnless(this, canCall('i386'), NO_INT80)
    const directory = temporary()
    buildTestProgram('sysinfo', directory)
    const lines = parse(execFileSync(join(directory, 'sysinfo'), ['native', 'i386'], {encoding: 'utf8'}))
    const ours = encodeSysinfo(figures(lines['native']!), 'i386', 4096)
    const kernel = lines['i386']!.bytes
    // Total memory, total swap and the unit do not change between two calls.
    for (const offset of [16, 32, 52]) assert.equal(ours.readUInt32LE(offset), kernel.readUInt32LE(offset), `${offset}`)
    assert.deepEqual(encodeSysinfo(figures(lines['native']!), 'x86_64', 4096), lines['native']!.bytes.subarray(0, 112))
    assert.ok(untouched(kernel.subarray(64)))
  })

  it('tells the limit in the layout of each ABI, and writes no byte more', async function () {
    const hasI386 = isX86 && canCall('i386')
    const ways = ['native', ...(isX86 ? ['x32'] : []), ...(hasI386 ? ['i386'] : [])]
    const {output, decisions} = await run((program) => `${program} ${ways.join(' ')}`, LIMIT)
    const lines = parse(output)
    for (const way of ways.filter((each) => each !== 'i386')) {
      const line = lines[way]!
      const {totalRam, freeRam, totalSwap, freeSwap, uptimeSeconds, processes} = figures(line)
      assert.equal(line.result, 0)
      assert.equal(totalRam, LIMIT)
      assert.ok(freeRam > 0 && freeRam <= totalRam, String(freeRam))
      assert.ok(freeSwap <= totalSwap)
      assert.ok(uptimeSeconds >= 1 && uptimeSeconds < 60, String(uptimeSeconds))
      assert.ok(processes >= 1 && processes < 20, String(processes))
      assert.equal(line.bytes.readUInt32LE(104), 1)
      assert.ok(untouched(line.bytes.subarray(112)))
    }
    if (hasI386) {
      const {result, bytes} = lines['i386']!
      assert.equal(result, 0)
      assert.deepEqual([bytes.readUInt32LE(16), bytes.readUInt32LE(52)], [LIMIT, 1])
      assert.ok(untouched(bytes.subarray(64)))
    }
    assert.deepEqual(
      decisions.map(({syscall, outcome, strategy, reason}) => [syscall, outcome, strategy, reason]),
      ways.map(() => ['sysinfo', 'emulated', 'cgroup', `memory limit ${LIMIT} of the container`]),
    )
  })

  it('counts the uptime on the boot clock of the time namespace of the caller', async function () {
    skipTestUnless(this, existsSync('/proc/self/ns/time'), 'this kernel has no time namespaces')
    const shifted = 1_000_000
    const {output} = await run(
      (program) => `${program} native; unshare --time --boottime ${shifted} --fork ${program} native`,
    )
    const [plain, ahead] = output
      .trimEnd()
      .split('\n')
      .map((line) => figures(parse(line)['native']!).uptimeSeconds)
    assert.ok(plain! < 60, String(plain))
    assert.ok(ahead! >= shifted && ahead! < shifted + 60, String(ahead))
  })

  it('fails with EFAULT on a null pointer and on memory that is read-only, which stays as it was', async () => {
    const {output, decisions} = await run((program) => `${program} null readonly`, LIMIT)
    const lines = parse(output)
    for (const way of ['null', 'readonly']) {
      assert.equal(lines[way]?.result, -EFAULT, way)
      assert.ok(untouched(lines[way].bytes))
    }
    assert.deepEqual(
      decisions.map(({outcome, errno}) => [outcome, errno]),
      [
        ['failed', EFAULT],
        ['failed', EFAULT],
      ],
    )
  })

  it('counts what is cached as free', async () => {
    const script = (program: string) =>
      `yes | head -c ${96 * MIB} > cached && sync cached && ${program} native; rm cached`
    const {output} = await run(script, LIMIT)
    assert.match(output, /^native 0 /)
    const {totalRam, freeRam} = figures(parse(output)['native']!)
    assert.equal(totalRam, LIMIT)
    assert.ok(freeRam <= totalRam && freeRam > totalRam - 64 * MIB, String(freeRam))
  })

  it('answers a caller in a user namespace of its own just so', async () => {
    const {output} = await run((program) => `unshare -r ${program} native`, LIMIT)
    assert.equal(figures(parse(output)['native']!).totalRam, LIMIT)
  })

  it("tells the host's memory where the container has no limit of its own", async function () {
    const {output, decisions} = await run((program) => `${program} native`)
    const [decision] = decisions
    // What runs the tests may itself be limited.
    if (decision?.strategy !== 'host') this.skip()
    const directory = temporary()
    buildTestProgram('sysinfo', directory)
    const host = figures(parse(execFileSync(join(directory, 'sysinfo'), ['native'], {encoding: 'utf8'}))['native']!)
    const {totalRam, processes} = figures(parse(output)['native']!)
    assert.equal(totalRam, host.totalRam)
    assert.ok(processes < 20, String(processes))
  })
})
