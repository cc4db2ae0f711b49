/** Objects that stay, and keep what they hold, though nothing else may refer to them. Those of a thread end with it. */
const held = new Set<object>()

/** Keeps an object until it is let go. */
export function hold(object: object): void {
  held.add(object)
}

export function letGo(object: object): void {
  held.delete(object)
}

/** Lets go of all the objects of a set, and empties it. */
export function letGoOfAll(objects: Set<object>): void {
  for (const object of objects) held.delete(object)
  objects.clear()
}
