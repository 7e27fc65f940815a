import assert from 'node:assert/strict'
import type {SpawnSyncReturns} from 'node:child_process'
import {spawn, spawnSync} from 'node:child_process'
import {closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import type {CgroupOptions} from '../../../src/container/cgroup/index.js'
import {createCgroup, planCgroup, removeStaleCgroups} from '../../../src/container/cgroup/index.js'
import {describeCgroup, joinCgroupOf} from '../../../src/container/cgroup/of.js'
import {findHierarchies, thisHost, writeCgroupFile} from '../../../src/container/cgroup/tree.js'
import {BASE_DEVICES, deviceProgram} from '../../../src/container/cgroup/device-rule.js'
import {attachDeviceProgram, loadDeviceProgram} from '../../../src/ffi/bpf.js'

const isRoot = process.getuid?.() === 0
const hierarchies = findHierarchies(thisHost())

/** Runs a shell in the cgroup: it waits for a line on its standard input, which comes when it has been moved. */
function runIn(join: (pid: number) => void, script: string, ...words: string[]): Promise<SpawnSyncReturns<string>> {
  return new Promise((resolve, reject) => {
    const shell = spawn('sh', ['-c', `read go; ${script}`, 'sh', ...words], {stdio: 'pipe'})
    const output = {stdout: '', stderr: ''}
    shell.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
    shell.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
    shell.on('error', reject)
    shell.on('close', (status, signal) => {
      resolve({pid: shell.pid ?? 0, output: [], ...output, status, signal})
    })
    join(shell.pid ?? 0)
    shell.stdin.end('go\n')
  })
}

async function inCgroup(
  options: Partial<CgroupOptions>,
  script: string,
  ...words: string[]
): Promise<SpawnSyncReturns<string>> {
  const cgroup = createCgroup({name: 'test', rootless: false, ...options})
  try {
    return await runIn((pid) => cgroup.join(pid), script, ...words)
  } finally {
    cgroup.destroy()
    for (const directory of cgroup.directories) assert.equal(existsSync(directory), false, directory)
  }
}

describe('cgroup of a container', () => {
  let directory = ''

  before(function () {
    // Only root may make cgroups outside of a delegated subtree.
    if (!isRoot) this.skip()
    directory = mkdtempSync(join(tmpdir(), 'interceptor-cgroup-'))
    for (const [name, type, major, minor] of [
      ['loop', 'b', '7', '0'],
      ['null', 'c', '1', '3'],
      ['console', 'c', '5', '1'],
    ] as const) {
      assert.equal(spawnSync('mknod', [join(directory, name), type, major, minor]).status, 0)
    }
  })

  after(() => {
    if (directory !== '') rmSync(directory, {recursive: true})
  })

  it('kills what takes more memory than the limit', async () => {
    const {signal, status} = await inCgroup(
      {memoryBytes: 64 << 20},
      'exec node -e "const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1))"',
    )
    assert.ok(signal === 'SIGKILL' || status === 137, `${String(signal)} ${String(status)}`)
  })

  it('fails fork with EAGAIN above the limit of processes', async () => {
    const {stderr} = await inCgroup({pids: 4}, 'for i in 1 2 3 4 5 6; do sleep 1 & done; wait')
    assert.match(stderr, /fork/i)
  })

  it('slows what takes more than its processors', async function () {
    const place = hierarchies.v1.get('cpu') ?? hierarchies.unified
    if (place === undefined) this.skip()
    const cgroup = createCgroup({name: 'test', rootless: false, cpus: 0.1})
    try {
      await runIn((pid) => cgroup.join(pid), 'timeout 1 sh -c "while :; do :; done"; true')
      const stat = readFileSync(`${cgroup.description.cpu?.own ?? ''}/cpu.stat`, 'utf8')
      assert.ok(Number(/nr_throttled (\d+)/.exec(stat)?.[1]) > 0, stat)
    } finally {
      cgroup.destroy()
    }
  })

  it('gives real-time bandwidth with processors when asked', async function () {
    const cpu = hierarchies.v1.get('cpu')
    if (cpu === undefined || !existsSync(join(cpu.own, 'cpu.rt_runtime_us'))) this.skip()
    const {status, stderr} = await inCgroup({cpus: 1, realtime: true}, 'chrt -f 1 true')
    assert.equal(status, 0, stderr)
  })

  it('opens only allowed devices', async () => {
    const script = 'for n in loop null console; do (: <$1/$n) 2>&1 && echo open $n; done'
    const {stdout} = await inCgroup({}, script, directory)
    assert.match(stdout, /open null/)
    assert.doesNotMatch(stdout, /open (loop|console)/)
    assert.match(stdout, /loop: Operation not permitted/)
    assert.match(stdout, /console: Operation not permitted/)
  })

  it('opens a device that was allowed beside the common ones', async () => {
    const devices = [{type: 'b', major: 7, minor: 0, access: 'r'}] as const
    const script = '(: <$1/loop) 2>&1; (: 3<>$1/loop) 2>&1'
    const {stdout} = await inCgroup({devices}, script, directory)
    // There may be no loop driver, which is another errno than the rule's, and comes after it.
    assert.equal(stdout.match(/Operation not permitted/g)?.length, 1, stdout)
  })

  it('opens only allowed devices under a device program in the unified hierarchy', async function () {
    const {unified} = hierarchies
    if (unified === undefined) this.skip()
    const own = join(unified.own, `interceptor-program-test.${process.pid}-0`)
    mkdirSync(own)
    try {
      const cgroup = openSync(own, 'r')
      const program = loadDeviceProgram(deviceProgram(BASE_DEVICES), 'interceptor')
      attachDeviceProgram(cgroup, program)
      closeSync(program)
      closeSync(cgroup)
      const script = 'for n in loop null console; do (: <$1/$n) 2>&1 && echo open $n; done; : <>/dev/zero && echo zero'
      const {stdout} = await runIn((pid) => writeCgroupFile(`${own}/cgroup.procs`, String(pid)), script, directory)
      assert.match(stdout, /open null/)
      assert.match(stdout, /zero/)
      assert.match(stdout, /loop: Operation not permitted/)
      assert.match(stdout, /console: Operation not permitted/)
    } finally {
      rmDirectory(own)
    }
  })

  it('uses a device program where there is no devices controller', async function () {
    const {unified} = hierarchies
    if (unified === undefined) this.skip()
    const v1 = new Map([...hierarchies.v1].filter(([name]) => name !== 'devices'))
    const plan = planCgroup({name: 'test', rootless: false}, {v1, unified}, thisHost())
    assert.equal(plan.deviceProgram, plan.description.unified?.own)
    assert.ok(plan.directories.includes(plan.deviceProgram ?? ''))
  })

  it('takes one process to where another one is, and describes that', async () => {
    const cgroup = createCgroup({name: 'test', rootless: false, pids: 50})
    const sleeper = spawn('sleep', ['100'], {stdio: 'ignore'})
    const init = sleeper.pid ?? 0
    try {
      cgroup.join(init)
      const {stdout} = await runIn((pid) => joinCgroupOf(init, pid), 'cat /proc/$$/cgroup')
      assert.equal(stdout, readFileSync(`/proc/${init}/cgroup`, 'utf8'))
      assert.deepEqual(describeCgroup(init).pids, cgroup.description.pids)
      assert.deepEqual(describeCgroup(init).memory, cgroup.description.memory)
      const before = readFileSync('/proc/self/cgroup', 'utf8')
      joinCgroupOf(process.pid, process.pid)
      assert.equal(readFileSync('/proc/self/cgroup', 'utf8'), before)
    } finally {
      sleeper.kill('SIGKILL')
      cgroup.destroy()
    }
  })

  it('names the cgroup that cannot be removed and the process in it', function () {
    this.timeout(20_000)
    const cgroup = createCgroup({name: 'test', rootless: false})
    const sleeper = spawn('sleep', ['100'], {stdio: 'ignore'})
    try {
      cgroup.join(sleeper.pid ?? 0)
      assert.throws(() => cgroup.destroy(), {
        name: 'LaunchError',
        message: new RegExp(`^cannot remove the cgroup /.*/interceptor-test.*, which still holds ${sleeper.pid}$`),
      })
    } finally {
      sleeper.kill('SIGKILL')
    }
    cgroup.destroy()
  })

  it('removes what a killed supervisor left, and nothing else', () => {
    const gone = spawnSync('true').pid
    const running = createCgroup({name: 'test', rootless: false})
    const parent = join(running.directories[0] ?? '', '..')
    const stale = join(parent, `interceptor-gone.${gone}-12345`)
    const other = join(parent, `interceptor-like-${process.pid}`)
    try {
      mkdirSync(join(stale, 'below'), {recursive: true})
      mkdirSync(other)
      // Somebody else who starts a container may be faster.
      assert.ok(removeStaleCgroups().includes(stale) || !existsSync(stale))
      assert.equal(existsSync(stale), false)
      assert.ok(existsSync(other))
      assert.ok(running.directories.every((each) => existsSync(each)))
    } finally {
      running.destroy()
      rmDirectory(other)
    }
  })

  it('leaves nothing behind when a limit is refused', () => {
    const before = made()
    assert.throws(() => createCgroup({name: 'test', rootless: false, pids: -5}), {
      name: 'LaunchError',
      message: /^cannot limit the processes: "-5" into .*pids.max/,
    })
    assert.deepEqual(made(), before)
  })
})

function made(): readonly string[] {
  return [...hierarchies.v1.values()].flatMap(({own}) =>
    spawnSync('ls', [own], {encoding: 'utf8'})
      .stdout.split('\n')
      // Others make some too.
      .filter((name) => name.startsWith('interceptor-') && name.includes(`.${process.pid}-`)),
  )
}

function rmDirectory(path: string): void {
  const {status, stderr} = spawnSync('rmdir', [path], {encoding: 'utf8'})
  assert.equal(status, 0, stderr)
}
