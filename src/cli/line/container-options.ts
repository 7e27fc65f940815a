// What flags, or configuration keys of the same names, say of the container.

import type {ContainerOptions} from '../../container/run-options.js'
import {isOn, listOf, valueOf} from '../../flag.js'
import type {FlagValues} from '../../flag.js'
import {container as flags} from '../flags/container.js'
import {checkIdMaps} from '../flags/values.js'

export function containerOptions(values: FlagValues): ContainerOptions {
  return {
    name: valueOf(values, flags.name),
    rootfs: valueOf(values, flags.rootfs),
    binds: listOf(values, flags.bind),
    tmpfs: listOf(values, flags.tmpfs),
    devices: listOf(values, flags.device),
    workdir: valueOf(values, flags.workdir),
    hostname: valueOf(values, flags.hostname),
    user: valueOf(values, flags.user) ?? {uid: 0, gid: 0},
    uidMap: checkIdMaps(flags.uidMap.name, listOf(values, flags.uidMap)),
    gidMap: checkIdMaps(flags.gidMap.name, listOf(values, flags.gidMap)),
    memoryBytes: valueOf(values, flags.memory),
    pids: valueOf(values, flags.pids),
    cpus: valueOf(values, flags.cpus),
    network: valueOf(values, flags.network) ?? 'host',
    showsHome: valueOf(values, flags.home) === 'ro',
    readOnly: isOn(values, flags.readOnly),
  }
}
