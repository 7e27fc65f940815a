// Everything that check finds out, as tasks that are done one after the other.

import {ownPrivileges, isPrivileged} from '../container/userns/privileges.js'
import {hostRestrictions} from '../container/userns/host-restrictions.js'
import {unifiedMountPoint} from '../container/cgroup/tree.js'
import {Composition} from '../intercept/composition.js'
import type {Policy} from '../intercept/policy.js'
import {checkCgroups} from './cgroups.js'
import type {Limits} from './cgroups.js'
import {checkFamilies} from './families.js'
import type {CheckPlan, CheckResult, CheckTask, FamilyFinding, Finding} from '../intercept/finding.js'
import {good, missing} from '../intercept/finding.js'
import {checkNotifier} from './kernel.js'
import {checkContainer, checkIds, checkNamespaces, checkRights, checkHostRestrictions} from './machine.js'
import {tryCurrentDirectory, tryNode} from './trial.js'
import type {Trial} from './trial.js'

export interface CheckRequest {
  readonly policy: Policy
  /** What --memory, --pids and --cpus ask for. */
  readonly limits: Limits
  /** The configuration file that was used, if any: it has been validated. */
  readonly configuration: string | undefined
  /** Lines about configuration files that were passed over. */
  readonly notes: readonly string[]
}

export function planCheck({policy, limits, configuration, notes}: CheckRequest): CheckPlan {
  const privileges = ownPrivileges()
  const rootless = !isPrivileged(privileges)
  const restrictions = hostRestrictions()
  let trial: Trial | undefined
  const tried = async (): Promise<Trial> => (trial ??= await tryNode())
  const tasks: readonly CheckTask[] = [
    {title: 'rights', find: () => [checkRights(privileges), ...checkHostRestrictions(restrictions)]},
    {title: 'configuration', find: () => [good('configuration', [configuration ?? 'no file', ...notes].join('; '))]},
    {
      title: 'container',
      find: async () => {
        const seen = await tried()
        return [checkNamespaces(restrictions, seen), checkIds(privileges, seen), checkContainer(seen)]
      },
    },
    {
      title: 'current directory',
      find: async () => ((await tried()).started ? [await checkCurrentDirectory(rootless)] : []),
    },
    {title: 'cgroups', find: () => checkCgroups(rootless, limits)},
    {
      title: 'families',
      find: async () =>
        checkFamilies(new Composition({policy, rootless}), {
          hasUnifiedHierarchy: unifiedMountPoint() !== undefined,
          trial: await tried(),
        }),
    },
    // Last: see there.
    {title: 'notifications', find: checkNotifier},
  ]
  return {rootless, tasks}
}

export function concludeCheck({rootless}: CheckPlan, all: readonly Finding[]): CheckResult {
  const families = all.filter(isFamily)
  const findings = all.filter((finding) => !isFamily(finding))
  const isDead = findings.some(({name, state}) => state === 'missing' && BASES.includes(name))
  const useless = families.filter(({asked, state}) => asked && (isDead || state === 'missing')).map(({flag}) => flag)
  return {rootless, findings, families, lacking: [...useless, ...findings.flatMap(({lacking = []}) => lacking)]}
}

/** Nothing works without these. */
const BASES: readonly string[] = ['container', 'notifications', 'device rule']

function isFamily(finding: Finding): finding is FamilyFinding {
  return 'flag' in finding
}

async function checkCurrentDirectory(rootless: boolean): Promise<Finding> {
  const name = 'current directory'
  const {works, failure, hints} = await tryCurrentDirectory()
  if (!works) return missing(name, failure, ...hints)
  return good(name, rootless ? 'can be worked in' : "can be id-mapped, so that files are owned as root's")
}
