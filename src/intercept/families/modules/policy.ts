// --finit-module: which kernel modules the host loads when the container asks for them.

import {INTERCEPTION, invalidValue, listOf} from '../../../flag.js'
import type {ListFlag} from '../../../flag.js'
import {missing} from '../../policy.js'
import type {PolicyDeclaration} from '../../policy.js'

export interface ModulePolicy {
  /** Module names as the kernel spells them, with underscores. */
  readonly names: readonly string[]
}

export const finitModule: ListFlag<string> = {
  ...INTERCEPTION,
  name: 'finit-module',
  kind: 'list',
  separator: ',',
  placeholder: 'NAME',
  parse: parseModuleName,
  summary: 'kernel modules that the host loads when the container asks for them',
  description:
    'finit_module(2) and init_module(2) of these modules have the host load its own module of that name with ' +
    "modprobe(8); the container's file is only read for its name. Several names are separated by commas. Parameters " +
    'and force are refused. Modules of all containers are one: what is loaded stays loaded.',
}

export const modulePolicy: PolicyDeclaration<ModulePolicy> = {
  flags: [finitModule],
  // LXD alone has `load`; where it is not `ondemand`, and in Incus, modules are loaded by the host beforehand.
  lxd: {
    switch: {key: 'linux.kernel_modules.load', words: {on: 'ondemand', off: 'boot'}},
    others: [{key: 'linux.kernel_modules', flag: finitModule}],
    tellsWhenOff: true,
  },
  fromFlags(values) {
    const names = listOf(values, finitModule)
    return names.length === 0 ? undefined : {names: [...new Set(names)]}
  },
  beyond: (asked, given) => missing(asked.names, given.names).map((name) => `the module ${name}`),
}

/** As the kernel writes it: `-` and `_` are the same. */
function parseModuleName(name: string, text: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,54}$/.test(text)) {
    const hint = 'write it as lsmod does, such as nf_nat_ftp, without .ko'
    throw invalidValue(name, text, 'the name of a kernel module', hint)
  }
  return text.replaceAll('-', '_')
}
