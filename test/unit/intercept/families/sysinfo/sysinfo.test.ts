import assert from 'node:assert/strict'
import {join} from 'node:path'

import {SystemError} from '../../../../../src/ffi/errors.js'
import {ERRNO} from '../../../../../src/kernel/errno.js'
import type {Abi} from '../../../../../src/kernel/abi.js'
import {CgroupReader} from '../../../../../src/intercept/families/sysinfo/cgroup-reader.js'
import type {ContainerDescription} from '../../../../../src/intercept/container.js'
import {LoadAverage, newLoadMemory} from '../../../../../src/intercept/families/sysinfo/load-average.js'
import type {Caller} from '../../../../../src/intercept/family.js'
import type {SysinfoState} from '../../../../../src/intercept/families/sysinfo/index.js'
import {measure, sysinfo, sysinfoFamily} from '../../../../../src/intercept/families/sysinfo/index.js'
import {changedTree} from '../../../../helpers/cgroup-host.js'
import {temporaryDirectories} from '../../../../helpers/temporary.js'

const MIB = 1 << 20
const host = {
  totalRam: 8192 * MIB,
  freeRam: 1000 * MIB,
  sharedRam: 10 * MIB,
  bufferRam: 20 * MIB,
  totalSwap: 1024 * MIB,
  freeSwap: 512 * MIB,
  processes: 300,
}
const SESSION = 'user.slice/user-1000.slice/session-2.scope'

describe('sysinfo', () => {
  const temporary = temporaryDirectories()

  function state(files: Readonly<Record<string, string>>, bootMs = 90_000): SysinfoState {
    const top = changedTree(temporary(), 'cgroup-v2/systemd', files)
    const span = {top, own: join(top, SESSION)}
    const memory = newLoadMemory()
    new Float64Array(memory).set([2, 1, 0.5, 3, 0])
    const container: ContainerDescription = {
      name: 'test',
      initPid: process.pid,
      namespaces: {user: 1, mnt: 2, pid: 3},
      uidMap: [],
      gidMap: [],
      cgroup: {version: 2, memory: span, pids: span},
      rootless: false,
      startedMs: 60_000,
    }
    return {
      reader: new CgroupReader(container.cgroup),
      load: new LoadAverage(container, memory),
      readHost: () => host,
      bootTimeMs: () => bootMs,
      startedMs: container.startedMs,
      pageSize: 4096,
    }
  }

  const caller = (abi: Abi, write: (address: number, data: Uint8Array) => void) =>
    ({tid: 1, abi, memory: {write}}) as unknown as Caller

  it('is performed for everyone, whatever capabilities and user namespace', () => {
    const facts = {uid: 1000, gid: 1000, effective: 0n, inContainerUserNamespace: false}
    assert.equal(sysinfo.decide({info: 0}, facts, {}).kind, 'perform')
  })

  it('tells the figures of the container', () => {
    const files = {
      [`${SESSION}/memory.max`]: String(256 * MIB),
      [`${SESSION}/memory.current`]: String(100 * MIB),
      [`${SESSION}/memory.stat`]: `anon 0\nfile ${60 * MIB}\nkernel 0\nshmem ${10 * MIB}`,
      [`${SESSION}/memory.swap.max`]: String(128 * MIB),
      [`${SESSION}/memory.swap.current`]: String(28 * MIB),
      [`${SESSION}/pids.current`]: '12',
    }
    assert.deepEqual(measure(state(files), 1), {
      figures: {
        uptimeSeconds: 30,
        loads: [2, 1, 0.5],
        totalRam: 256 * MIB,
        freeRam: 206 * MIB,
        sharedRam: 10 * MIB,
        bufferRam: 0,
        totalSwap: 128 * MIB,
        freeSwap: 100 * MIB,
        processes: 12,
      },
      strategy: 'cgroup',
      reason: 'memory limit 268435456 of the container',
    })
  })

  it("tells the host's memory where nothing limits it, with the rest still the container's", () => {
    assert.deepEqual(measure(state({}), 1), {
      figures: {...host, uptimeSeconds: 30, loads: [2, 1, 0.5], processes: 3},
      strategy: 'host',
      reason: 'no memory limit below that of the host',
    })
  })

  it('counts a second that has begun, and never less than none', () => {
    assert.equal(measure(state({}, 60_001), 1).figures.uptimeSeconds, 1)
    assert.equal(measure(state({}, 59_000), 1).figures.uptimeSeconds, 0)
  })

  it('writes as many bytes as the structure of the ABI has', () => {
    const written: (readonly [number, number])[] = []
    for (const abi of ['x86_64', 'i386', 'x32', 'aarch64', 'arm'] as const) {
      const performed = sysinfo.perform(
        {info: 0x1000},
        caller(abi, (address, data) => written.push([address, data.length])),
        state({}),
      )
      assert.deepEqual(performed, {
        kind: 'done',
        value: 0,
        strategy: 'host',
        reason: 'no memory limit below that of the host',
      })
    }
    assert.deepEqual(
      written,
      [112, 64, 112, 112, 64].map((length) => [0x1000, length]),
    )
  })

  it('fails with EFAULT where the buffer cannot be written, and passes other failures on', () => {
    const failing = (errno: number) =>
      caller('x86_64', () => {
        throw new SystemError('process_vm_writev', errno)
      })
    assert.deepEqual(sysinfo.perform({info: 0}, failing(ERRNO.EFAULT), state({})), {
      kind: 'failed',
      errno: ERRNO.EFAULT,
      strategy: 'host',
    })
    assert.throws(() => sysinfo.perform({info: 0}, failing(ERRNO.ESRCH), state({})), SystemError)
  })

  it('is on exactly when the policy names it', () => {
    assert.equal(sysinfoFamily.select({}), undefined)
    assert.deepEqual(sysinfoFamily.select({sysinfo: {}}), {})
    assert.deepEqual(sysinfoFamily.calls({}, {rootless: true}), [sysinfo])
  })
})
