/** Moves memory out of its array buffer, as a stream of bytes does with what is put into it. */
export const steal = `
  const steal = async (view) => {
    const stream = new ReadableStream({ type: 'bytes', start: (controller) => controller.enqueue(view) })
    return (await stream.getReader().read()).value
  }`
