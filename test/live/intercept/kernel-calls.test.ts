// The running kernel's own list of calls: one that does what an intercepted call does is intercepted too, or has a reason.

import assert from 'node:assert/strict'
import {readFileSync} from 'node:fs'

import {adviserFor} from '../../../src/cli/line/explain-flags.js'
import {skipTestUnless} from '../../helpers/skip.js'

/** What the families are about, by words that the kernel's names have. */
const ALIKE =
  /mknod|nodeat|xattr|file_[gs]etattr|mount|^fs(config|fd|info|open|pick)|^open_tree|pivot_root|bpf|^sched_set|sysinfo|module|io_uring|handle_at|kexec|swapo|^quotactl|^acct$/u

/** Every family and everything in it. */
const EVERYTHING = {
  mknod: true,
  setxattr: true,
  sysinfo: true,
  'sched-setscheduler': true,
  'bpf-devices': true,
  'mount-allowed': ['ext4'],
  'mount-source': ['/dev/null'],
  'finit-module': ['dummy'],
}

/** Left to the kernel, and why that grants nothing and leaves nothing out. */
const LEFT: Readonly<Record<string, string>> = {
  acct: 'wants CAP_SYS_PACCT in the initial user namespace',
  file_getattr: 'flags of files (FS_IOC_FSGETXATTR), no extended attributes',
  file_setattr: 'flags of files: immutable and append want CAP_LINUX_IMMUTABLE in the initial user namespace',
  io_uring_enter: 'there is no ring where io_uring_setup is refused',
  io_uring_register: 'there is no ring where io_uring_setup is refused',
  listmount: 'reads',
  lsm_list_modules: 'reads; modules are security modules',
  name_to_handle_at: 'a handle opens nothing: open_by_handle_at is refused',
  oldumount: 'umount2 without flags, for mounts of the container',
  open_tree: 'copies what the container sees; a stand-in of a mount is a pipe to it, EINVAL',
  open_tree_attr: 'the same, with attributes that mount_setattr would refuse: locked flags stay locked',
  pivot_root: 'changes roots of the container',
  quotactl: 'wants CAP_SYS_ADMIN in the initial user namespace, but to ask for its own figures',
  quotactl_fd: 'as quotactl',
  sched_setaffinity: 'needs no right for processes of the container',
  statmount: 'reads',
  swapoff: 'wants CAP_SYS_ADMIN in the initial user namespace',
  swapon: 'wants CAP_SYS_ADMIN in the initial user namespace',
}

describe('calls of the running kernel', () => {
  it('that do what an intercepted call does are intercepted, refused, or left with a reason', function () {
    const symbols = readFileSync('/proc/kallsyms', 'latin1')
    const names = [...new Set([...symbols.matchAll(/ __(?:x64|arm64)_sys_(\w+)$/gmu)].map(([, name = '']) => name))]
    skipTestUnless(this, names.length > 300, 'this kernel does not list its calls')
    const {composition} = adviserFor(EVERYTHING, {rootless: false}).withFlags([])!
    // The kernel calls umount2 by its older name; io_uring_setup is refused with attributes.
    const known = new Set([...composition.calls.keys(), ...composition.denied, 'umount'])
    const alike = names.filter((name) => ALIKE.test(name))
    assert.ok(alike.length > 40, String(alike.length))
    const unknown = alike.filter((name) => !known.has(name) && LEFT[name] === undefined)
    assert.deepEqual(unknown, [])
    assert.deepEqual(
      Object.keys(LEFT).filter((name) => known.has(name)),
      [],
    )
  })
})
