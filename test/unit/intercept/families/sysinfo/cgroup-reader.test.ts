import assert from 'node:assert/strict'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {CgroupReader} from '../../../../../src/intercept/families/sysinfo/cgroup-reader.js'
import {changedTree} from '../../../../helpers/cgroup-host.js'
import {temporaryDirectories} from '../../../../helpers/temporary.js'

const MIB = 1 << 20
const HOST_TOTAL = 8192 * MIB
const HOST_SWAP = 1024 * MIB
const HOST_FREE_SWAP = 900 * MIB
const NO_LIMIT_V1 = '9223372036854771712'

interface Row {
  readonly title: string
  readonly version: 1 | 2
  /** Below /sys/fs/cgroup. */
  readonly own: string
  readonly files: Readonly<Record<string, string>>
  readonly memory: readonly [total: number, free: number, shared: number] | undefined
  readonly swap: readonly [total: number, free: number]
}

const SLICE = 'user.slice/user-1000.slice'
const SESSION = `${SLICE}/session-2.scope`
const V1 = 'memory/user.slice/user-0.slice/session-1.scope'
// As recorded: current 160 MiB, of which file 118730752 with shmem 4096.
const USED_V2 = 167772160 - (118730752 - 4096)
// As recorded: usage 100 MiB, of which cache 73400320 with shmem 10485760.
const USED_V1 = 104857600 - (73400320 - 10485760)

const rows: readonly Row[] = [
  {
    title: 'has no figures of its own without a limit (v2)',
    version: 2,
    own: SESSION,
    files: {},
    memory: undefined,
    swap: [HOST_SWAP, HOST_FREE_SWAP],
  },
  {
    title: 'has no figures of its own without a limit (v1)',
    version: 1,
    own: V1,
    files: {},
    memory: undefined,
    swap: [HOST_SWAP, HOST_FREE_SWAP],
  },
  {
    title: 'takes a limit above the memory of the host for none (v2)',
    version: 2,
    own: SESSION,
    files: {[`${SESSION}/memory.max`]: String(HOST_TOTAL * 2)},
    memory: undefined,
    swap: [HOST_SWAP, HOST_FREE_SWAP],
  },
  {
    title: 'counts the page cache as free, but not what is shared in it (v2)',
    version: 2,
    own: SESSION,
    files: {[`${SESSION}/memory.max`]: String(256 * MIB)},
    memory: [256 * MIB, 256 * MIB - USED_V2, 4096],
    swap: [HOST_SWAP, HOST_FREE_SWAP],
  },
  {
    title: 'counts the page cache as free, but not what is shared in it (v1)',
    version: 1,
    own: V1,
    files: {[`${V1}/memory.limit_in_bytes`]: String(123 * MIB)},
    memory: [128974848, 128974848 - USED_V1, 10485760],
    swap: [HOST_SWAP, HOST_FREE_SWAP],
  },
  {
    title: 'takes the smaller limit of a cgroup above, with what is used there (v2)',
    version: 2,
    own: SESSION,
    files: {
      [`${SESSION}/memory.max`]: String(512 * MIB),
      [`${SLICE}/memory.max`]: String(256 * MIB),
      [`${SLICE}/memory.current`]: String(200 * MIB),
    },
    memory: [256 * MIB, 56 * MIB + (118730752 - 4096), 4096],
    swap: [HOST_SWAP, HOST_FREE_SWAP],
  },
  {
    title: 'takes the smaller limit of a cgroup above (v1)',
    version: 1,
    own: V1,
    files: {'memory/user.slice/memory.limit_in_bytes': String(512 * MIB)},
    memory: [512 * MIB, 512 * MIB - USED_V1, 10485760],
    swap: [HOST_SWAP, HOST_FREE_SWAP],
  },
  {
    title: 'takes memory.high for a limit (v2)',
    version: 2,
    own: SESSION,
    files: {[`${SESSION}/memory.max`]: String(512 * MIB), [`${SESSION}/memory.high`]: String(384 * MIB)},
    memory: [384 * MIB, 384 * MIB - USED_V2, 4096],
    swap: [HOST_SWAP, HOST_FREE_SWAP],
  },
  {
    title: 'has never less than nothing free (v2)',
    version: 2,
    own: SESSION,
    files: {[`${SESSION}/memory.max`]: String(16 * MIB)},
    memory: [16 * MIB, 0, 4096],
    swap: [HOST_SWAP, HOST_FREE_SWAP],
  },
  {
    title: 'has never more free than there is, though statistics lag behind (v2)',
    version: 2,
    own: SESSION,
    files: {
      [`${SESSION}/memory.max`]: String(256 * MIB),
      [`${SESSION}/memory.current`]: String(MIB),
      [`${SESSION}/memory.stat`]: `anon 4096\nfile ${256 * MIB}\nkernel 0\nshmem 0`,
    },
    memory: [256 * MIB, 256 * MIB, 0],
    swap: [HOST_SWAP, HOST_FREE_SWAP],
  },
  {
    title: 'limits swap, within that of the host (v2)',
    version: 2,
    own: SESSION,
    files: {
      [`${SESSION}/memory.swap.max`]: String(64 * MIB),
      [`${SESSION}/memory.swap.current`]: String(16 * MIB),
      [`${SLICE}/memory.swap.max`]: String(HOST_SWAP * 2),
    },
    memory: undefined,
    swap: [64 * MIB, 48 * MIB],
  },
  {
    title: 'has no swap where none may be used (v2)',
    version: 2,
    own: SESSION,
    files: {[`${SESSION}/memory.swap.max`]: '0'},
    memory: undefined,
    swap: [0, 0],
  },
  {
    title: 'takes what is left of memory and swap together (v1)',
    version: 1,
    own: V1,
    files: {
      [`${V1}/memory.limit_in_bytes`]: String(256 * MIB),
      [`${V1}/memory.memsw.limit_in_bytes`]: String(320 * MIB),
    },
    memory: [256 * MIB, 256 * MIB - USED_V1, 10485760],
    // As recorded: 120 MiB with swap, 100 MiB without.
    swap: [64 * MIB, 44 * MIB],
  },
  {
    title: 'has no swap where both limits are the same (v1)',
    version: 1,
    own: V1,
    files: {
      [`${V1}/memory.limit_in_bytes`]: String(256 * MIB),
      [`${V1}/memory.memsw.limit_in_bytes`]: String(256 * MIB),
    },
    memory: [256 * MIB, 256 * MIB - USED_V1, 10485760],
    swap: [0, 0],
  },
  {
    title: 'takes a limit of memory alone for none of swap (v1)',
    version: 1,
    own: V1,
    files: {
      [`${V1}/memory.limit_in_bytes`]: String(256 * MIB),
      [`${V1}/memory.memsw.limit_in_bytes`]: NO_LIMIT_V1,
    },
    memory: [256 * MIB, 256 * MIB - USED_V1, 10485760],
    swap: [HOST_SWAP, HOST_FREE_SWAP],
  },
]

describe('CgroupReader', () => {
  const temporary = temporaryDirectories()

  for (const {title, version, own, files, memory, swap} of rows) {
    it(title, () => {
      const top = changedTree(temporary(), version === 1 ? 'cgroup-v1/hybrid' : 'cgroup-v2/systemd', files)
      const mount = version === 1 ? join(top, 'memory') : top
      const reader = new CgroupReader({version, memory: {top: mount, own: join(top, own)}})
      try {
        const [total, free, shared] = memory ?? []
        assert.deepEqual(reader.memory(HOST_TOTAL), memory === undefined ? undefined : {total, free, shared})
        assert.deepEqual(reader.swap(HOST_SWAP, HOST_FREE_SWAP), {total: swap[0], free: swap[1]})
      } finally {
        reader.close()
      }
    })
  }

  it('reads usage each time and limits once a second', () => {
    const limit = `${SESSION}/memory.max`
    const top = changedTree(temporary(), 'cgroup-v2/systemd', {[limit]: String(256 * MIB)})
    let now = 0
    const reader = new CgroupReader({version: 2, memory: {top, own: join(top, SESSION)}}, () => now)
    try {
      assert.equal(reader.memory(HOST_TOTAL)?.free, 256 * MIB - USED_V2)
      writeFileSync(join(top, limit), `${512 * MIB}\n`)
      writeFileSync(join(top, `${SESSION}/memory.current`), `${161 * MIB}\n`)
      now = 999
      const {total, free} = reader.memory(HOST_TOTAL) ?? {}
      assert.deepEqual([total, free], [256 * MIB, 255 * MIB - USED_V2])
      now = 1000
      assert.equal(reader.memory(HOST_TOTAL)?.total, 512 * MIB)
    } finally {
      reader.close()
    }
  })

  it('counts processes where the controller does', () => {
    const top = changedTree(temporary(), 'cgroup-v2/systemd', {[`${SESSION}/pids.current`]: '42'})
    const reader = new CgroupReader({version: 2, pids: {top, own: join(top, SESSION)}})
    assert.equal(reader.processes(), 42)
    assert.equal(reader.memory(HOST_TOTAL), undefined)
    reader.close()
  })

  it('has nothing to say without cgroups, or when they are gone', () => {
    const gone = {top: '/sys/fs/cgroup', own: '/sys/fs/cgroup/interceptor-none.1-1'}
    for (const cgroup of [undefined, {version: 2, memory: gone, pids: gone} as const]) {
      const reader = new CgroupReader(cgroup)
      assert.equal(reader.memory(HOST_TOTAL), undefined)
      assert.equal(reader.processes(), undefined)
      assert.deepEqual(reader.swap(HOST_SWAP, HOST_FREE_SWAP), {total: HOST_SWAP, free: HOST_FREE_SWAP})
      reader.close()
    }
  })
})
