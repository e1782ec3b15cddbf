/** A file's text, as Vite gives it. */
declare module "*?raw" {
  const text: string;
  export default text;
}
/** A file's address. */
declare module "*?url" {
  const address: string;
  export default address;
}
