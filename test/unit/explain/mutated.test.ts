// Traces and logs that are nearly right, and calls with anything in their registers: explain reads or counts, and never fails.

import fc from 'fast-check'

import {adviserFor} from '../../../src/cli/line/explain-flags.js'
import {adviseCall} from '../../../src/explain/advise.js'
import {readLogLine} from '../../../src/explain/log-file.js'
import {StraceReader} from '../../../src/explain/strace-file.js'
import {NotationError, parseCall} from '../../../src/explain/strace-notation.js'
import {Composition} from '../../../src/intercept/composition.js'
import {MACHINE_ABIS} from '../../../src/kernel/abi.js'
import {RUNS, mutated} from '../../helpers/mutate.js'

const CALLS = [
  'mknodat(AT_FDCWD, "x", S_IFBLK|0660, makedev(0x8, 0)) = -1 EPERM (Operation not permitted)',
  'mount("/dev/sda1", "/mnt", "ext4", MS_NOSUID|MS_NODEV, "errors=remount-ro") = 0',
  'setxattr("a\\303\\244\\0", "trusted.overlay.opaque", "y", 1, XATTR_CREATE) = 0',
  'sched_setattr(0, {size=56, sched_policy=SCHED_DEADLINE, sched_flags=0, sched_nice=0, sched_priority=0, sched_runtime=1}, 0) = 0',
  'bpf(BPF_PROG_LOAD, {prog_type=BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt=2, insns=0x7ffc, license="GPL", log_level=0}, 144) = 3',
  'fsconfig(3</a>, FSCONFIG_SET_STRING, "source", "/dev/sda", 0) = 0',
  'ioctl(3, LOOP_SET_FD, 4) = 0',
  'finit_module(3, "", 0) = 0',
  'sysinfo({uptime=10, loads=[1, 2, 3]}) = 0',
]
const LINES = [
  ...CALLS.map((call, index) => `[pid ${1000 + index}] ${call} <0.000010>`),
  '1234 12:00:00.000001 mount("a", "b", NULL, MS_BIND <unfinished ...>',
  '[pid 1001] <... mount resumed>, NULL) = 0',
  '[ Process PID=7 runs in 32 bit mode. ]',
  '+++ exited with 0 +++',
]
const LOG = [
  'interceptor: [3 mknod] mknodat(AT_FDCWD, "sda", S_IFBLK|0666, makedev(8, 0)) = -1 EPERM  refused: block 8:0 is not allowlisted; --mknod-allow b:8:0 would allow it',
  '{"v":1,"seq":172,"time":"2026-11-27T19:58:10.948Z","pid":4,"tid":7,"host_pid":58,"uid":0,"gid":0,"comm":"s","arch":"x86_64","syscall":"mknodat","args":{"dirfd":-100,"path":"x","mode":8624,"dev":259},"verdict":"refused","strategy":null,"result":-1,"errno":"EPERM","reason":"r","hint":{"flag":"--mknod-allow","value":"b:8:0"},"latency_us":1}',
  '{"v":1,"event":"exit","status":0}',
]
const EVERYTHING = {
  mknod: true,
  setxattr: true,
  sysinfo: true,
  'sched-setscheduler': true,
  'bpf-devices': true,
  'mount-allowed': ['ext4', 'overlay'],
  'mount-fuse': ['xfs=fuse'],
  'mount-source': ['/dev/sda'],
  'finit-module': ['dummy'],
}

describe('nearly right traces and logs', () => {
  const [native = 'x86_64'] = MACHINE_ABIS
  const adviser = adviserFor(EVERYTHING, {rootless: false})

  it('are read, or counted', () => {
    fc.assert(
      fc.property(mutated(LINES), (text) => {
        const reader = new StraceReader(native)
        for (const line of text.split('\n')) {
          const call = reader.read(line)
          if (call !== undefined) adviseCall(call, call.abi, adviser)
        }
      }),
      {numRuns: RUNS},
    )
  }).timeout(120_000)

  it('are calls that are judged, or no calls', () => {
    fc.assert(
      fc.property(mutated(CALLS), (text) => {
        try {
          adviseCall(parseCall(text), native, adviser)
        } catch (error) {
          if (!(error instanceof NotationError)) throw error
        }
      }),
      {numRuns: RUNS},
    )
  }).timeout(120_000)

  it('are lines of a log, or passed over', () => {
    const composition = new Composition({policy: adviser.withFlags([])!.composition.policy, rootless: false})
    fc.assert(
      fc.property(mutated(LOG), (text) => {
        for (const line of text.split('\n')) {
          const logged = readLogLine(line, native, (name) => composition.argumentsOf(name))
          if (logged !== undefined) adviseCall(logged.call, logged.abi, adviser)
        }
      }),
      {numRuns: RUNS},
    )
  }).timeout(120_000)
})
