// The one programmatic entry, `interceptor`: supervision of a listener that somebody else made. Unstable until 1.0; see
// docs/API.md.

import {parseConfiguration} from '../config/document.js'
import {checkValues} from '../config/schema.js'
import {describeProcess} from '../container/describe-process.js'
import {isPrivileged, ownPrivileges} from '../container/userns/privileges.js'
import {toPolicy} from '../cli/line/policy.js'
import {Composition} from '../intercept/composition.js'
import type {ContainerDescription} from '../intercept/container.js'
import {isTold} from '../intercept/decision.js'
import type {Decision} from '../intercept/decision.js'
import {createSupervisor} from '../intercept/engine/supervisor.js'
import {FAMILIES} from '../intercept/families/index.js'
import type {Policy} from '../intercept/policy.js'

export type {ContainerDescription} from '../intercept/container.js'
export type {Decision} from '../intercept/decision.js'
export type {Policy} from '../intercept/policy.js'

/** Keys of interceptor.yaml(5) that intercept calls: `{mknod: true, 'mknod-allow': ['c:10:229']}`. */
export type PolicyKeys = Readonly<Record<string, boolean | number | string | readonly string[]>>

export interface SuperviseOptions {
  /** Descriptor of seccomp notifications (seccomp_unotify(2)). It stays the caller's, to be closed after `ended`. */
  readonly listener: number
  /** Pid of the container's init, as this process sees it, or its description where more is known. */
  readonly container: ContainerDescription | number
  readonly policy: Policy
  /** For each call, in the order of decisions. No further call is taken while many are not written; a rejection is fatal. */
  readonly onDecision?: (decision: Decision) => Promise<void> | void
}

export interface Supervision {
  /** Settles when nobody is left who could call, or after `stop`. Rejects where supervision failed: end the container then. */
  readonly ended: Promise<void>
  /** Stops answering. Calls that wait then fail with ENOSYS once the listener is closed. */
  stop(): Promise<void>
}

/**
 * The policy that flags of the same names would give.
 *
 * @throws UsageError for a key or a value that no flag has
 */
export async function readPolicy(keys: PolicyKeys): Promise<Policy> {
  const document = parseConfiguration('policy', Buffer.from(JSON.stringify(keys)))
  if (document === undefined) return {}
  const known = FAMILIES.flatMap(({policy}) => policy.flags).filter(({name}) => name !== 'handler')
  return toPolicy(await checkValues(document, document.data, known))
}

/**
 * The seccomp filter that hands over what the policy intercepts: struct sock_filter after struct sock_filter, for
 * seccomp(2) with SECCOMP_FILTER_FLAG_NEW_LISTENER and SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV. Undefined where the policy
 * intercepts nothing.
 */
export function filterOf(policy: Policy): Buffer | undefined {
  return compose(policy).notify?.bytes
}

/** Resolves when calls are answered: only then the container's command may start. */
export async function supervise(options: SuperviseOptions): Promise<Supervision> {
  const {listener, container, policy, onDecision} = options
  const composition = compose(policy)
  let failed: Error | undefined
  const supervisor = createSupervisor({
    composition,
    async onBatch({decisions}) {
      for (const decision of decisions) if (isTold(decision)) await onDecision?.(decision)
    },
    onFatal(error) {
      failed ??= error
    },
  })
  const {rootless} = composition
  try {
    const described =
      typeof container === 'number' ? describeProcess(container, {name: `process ${container}`, rootless}) : container
    await supervisor.attach({listener, container: described})
  } catch (error) {
    await supervisor.stop()
    throw error
  }
  const ended = supervisor.ended.then(() => {
    if (failed !== undefined) throw failed
  })
  return {ended, stop: () => supervisor.stop()}
}

function compose(policy: Policy): Composition {
  return new Composition({policy, rootless: !isPrivileged(ownPrivileges())})
}
