// What an ordinary user's `interceptor run` does first, as a bundle of its own: it becomes the same program in a user
// namespace, before anything of a run is loaded, since all of that is loaded there once more.

import {enterUserNamespace} from '../../container/userns/reexecute.js'

/** Comes back only where there is nothing to enter or it can't be: the run meets that again, and words it. */
export async function main(): Promise<void> {
  try {
    await enterUserNamespace()
  } catch {
    // See above.
  }
}
