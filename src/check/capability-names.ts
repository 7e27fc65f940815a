// Names of capabilities, as capabilities(7) has them.

const NAMES = (
  'chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service ' +
  'net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin ' +
  'sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override ' +
  'mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore'
).split(' ')

/** `all capabilities`, `no capability`, or what is fewer: those that are held, or those that are not. */
export function describeCapabilities(mask: bigint): string {
  const held = NAMES.filter((_, bit) => (mask >> BigInt(bit)) % 2n === 1n)
  const lacking = NAMES.filter((name) => !held.includes(name))
  if (lacking.length === 0) return 'all capabilities'
  if (held.length === 0) return 'no capability'
  return held.length <= lacking.length ? held.join(', ') : `all capabilities but ${lacking.join(', ')}`
}
