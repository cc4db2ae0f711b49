/** A text, or as much of its beginning as `most` characters. It is another text: a slice would keep all that it is of. */
export const shortened = (text: string, most: number): string =>
  text.length > most ? `${Buffer.from(text.slice(0, most)).toString()}…` : text
