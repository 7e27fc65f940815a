// Steps for a container's cgroups on hosts with one hierarchy for each controller; see cgroups(7).

import type {CgroupDescription} from '../../intercept/container.js'
import type {CgroupOptions, CgroupPlan, CgroupWrite} from './plan.js'
import {CPU_PERIOD_US, cpuQuotaUs, noSteps} from './plan.js'
import type {CgroupPlace, Hierarchies} from './tree.js'
import {BASE_DEVICES, showDeviceRule} from './device-rule.js'

/** Children of the supervisor's own cgroups. Every hierarchy that has no part in it is left alone. */
export function planV1({v1}: Hierarchies, options: CgroupOptions, leaf: string): CgroupPlan {
  const devices = options.rootless ? undefined : v1.get('devices')
  // Memory and pids are joined without limits too, for sysinfo; a rootless supervisor is seldom allowed to.
  const memory = options.rootless && options.memoryBytes === undefined ? undefined : v1.get('memory')
  const pids = options.rootless && options.pids === undefined ? undefined : v1.get('pids')
  const cpu = options.cpus === undefined ? undefined : v1.get('cpu')
  const child = (place: CgroupPlace) => `${place.own}/${leaf}`
  const span = (place: CgroupPlace) => ({top: place.mountPoint, own: child(place)})
  const places = [devices, memory, pids, cpu].filter((place) => place !== undefined)
  const description: CgroupDescription = {
    version: 1,
    ...(memory === undefined ? {} : {memory: span(memory)}),
    ...(pids === undefined ? {} : {pids: span(pids)}),
    ...(cpu === undefined ? {} : {cpu: span(cpu)}),
  }
  return {
    ...noSteps,
    directories: [...new Set(places.map(child))],
    writes: [
      ...(devices === undefined ? [] : deviceWrites(child(devices), options)),
      ...(memory === undefined || options.memoryBytes === undefined
        ? []
        : memoryWrites(child(memory), options.memoryBytes)),
      ...(pids === undefined || options.pids === undefined
        ? []
        : [{file: `${child(pids)}/pids.max`, value: String(options.pids), purpose: 'limit the processes'}]),
      ...(cpu === undefined || options.cpus === undefined ? [] : cpuWrites(child(cpu), options.cpus)),
    ],
    realtime: cpu !== undefined && options.realtime === true ? child(cpu) : undefined,
    description,
  }
}

function deviceWrites(directory: string, {devices = []}: CgroupOptions): readonly CgroupWrite[] {
  const purpose = 'restrict the devices'
  return [
    {file: `${directory}/devices.deny`, value: 'a', purpose},
    ...[...BASE_DEVICES, ...devices].map((rule) => ({
      file: `${directory}/devices.allow`,
      value: showDeviceRule(rule),
      purpose: `allow the device ${showDeviceRule(rule)}`,
    })),
  ]
}

/** memory.memsw counts memory and swap together: the same limit for both leaves no swap. It must not be the smaller. */
function memoryWrites(directory: string, bytes: number): readonly CgroupWrite[] {
  const purpose = 'limit the memory'
  return [
    // Kernels before 5.11 count children into their parent only where this is set.
    {file: `${directory}/memory.use_hierarchy`, value: '1', purpose, optional: true},
    {file: `${directory}/memory.limit_in_bytes`, value: String(bytes), purpose},
    {file: `${directory}/memory.memsw.limit_in_bytes`, value: String(bytes), purpose, optional: true},
  ]
}

function cpuWrites(directory: string, cpus: number): readonly CgroupWrite[] {
  const purpose = 'limit the processors'
  return [
    {file: `${directory}/cpu.cfs_period_us`, value: String(CPU_PERIOD_US), purpose},
    {file: `${directory}/cpu.cfs_quota_us`, value: String(cpuQuotaUs(cpus)), purpose},
  ]
}
