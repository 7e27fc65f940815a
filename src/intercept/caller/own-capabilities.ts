// Runs something with the supervisor's own ids and exactly the capabilities that it needs, on the calling thread alone.

import {CapabilityState, capget} from '../../ffi/credentials.js'
import {giveBack} from './give-back.js'

/**
 * For what the supervisor does with its own objects; what is done in a caller's place goes through Caller.act(). The
 * state to come back to is that of the first use, which is therefore never inside Caller.act().
 */
export class OwnCapabilities {
  #resting: CapabilityState | undefined
  readonly #states = new Map<bigint, CapabilityState>()

  with<T>(capabilities: bigint, action: () => T): T {
    const resting = (this.#resting ??= new CapabilityState(capget()))
    let state = this.#states.get(capabilities)
    if (state === undefined) {
      const sets = capget()
      state = new CapabilityState({...sets, effective: capabilities & sets.permitted})
      this.#states.set(capabilities, state)
    }
    state.enter()
    try {
      return action()
    } finally {
      giveBack('capabilities', () => resting.enter())
    }
  }
}
