// What the calls of the family share in one worker, and a mount as they ask for it.

import type {OwnCapabilities} from '../../caller/own-capabilities.js'
import type {ContainerDescription} from '../../container.js'
import type {FsContexts} from './api/contexts.js'
import type {EmulatedMounts} from './emulated.js'
import type {StandIns} from './loop/stand-in.js'
import type {MountPolicy} from './policy.js'
import type {PrivateMountNamespace} from './private-mount-namespace.js'
import type {MountSources} from './sources/sources.js'

export interface MountState {
  readonly own: OwnCapabilities
  readonly privateNamespace: PrivateMountNamespace
  readonly sources: MountSources
  readonly emulated: EmulatedMounts
  readonly standIns: StandIns
  readonly contexts: FsContexts
  readonly policy: MountPolicy
  readonly container: ContainerDescription
}

/** A mount as it is asked for, by mount(2) or by the new calls together. */
export interface NewMount {
  readonly type: Buffer
  readonly source: Buffer | null
  readonly flags: number
  readonly data: Buffer | null
}
