// Whether this host can load the modules that a policy names.

import {existsSync, readFileSync} from 'node:fs'

import {hasModule} from '../../../host/kernel-modules.js'
import {isProgram} from '../../../host/programs.js'
import type {FamilyOptions} from '../../family.js'
import {ONLY_ROOT, cannotServe, serves} from '../../finding.js'
import type {CheckCircumstances, Service, Unsupported} from '../../finding.js'
import type {ModulePolicy} from './policy.js'

export function unsupportedModules({names}: ModulePolicy, {rootless}: FamilyOptions): readonly Unsupported[] {
  if (!rootless) return []
  const flags = `--finit-module ${names.join(',')}`
  return [{flags, text: 'only root of the host can load modules', advice: [ONLY_ROOT]}]
}

export function checkModules({names}: ModulePolicy = {names: []}, circumstances: CheckCircumstances): Service {
  const [denied] = unsupportedModules({names}, circumstances)
  if (denied !== undefined) return cannotServe(denied.text, ...denied.advice)
  if (!existsSync('/proc/sys/kernel/modules_disabled')) return cannotServe('this kernel is built without modules')
  if (readFileSync('/proc/sys/kernel/modules_disabled', 'latin1').trim() === '1')
    return cannotServe('loading modules is switched off until the next start (kernel.modules_disabled)')
  if (!isProgram('modprobe')) return cannotServe('modprobe is not installed', 'apt-get install kmod')
  const absent = names.filter((name) => !isLoaded(name) && !hasModule(name))
  if (absent.length > 0) return cannotServe(`the host has no module ${absent.join(', ')} for this kernel`)
  return serves()
}

/** `name` with underscores, as /proc/modules has it. */
function isLoaded(name: string): boolean {
  try {
    return readFileSync('/proc/modules', 'latin1')
      .split('\n')
      .some((line) => line.split(' ')[0] === name)
  } catch {
    return false
  }
}
