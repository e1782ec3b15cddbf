/**
 * The functions of the compiler that a page loads when a program first needs them. The build for pages moves them here, from all over the
 * compiler (`build-page.ts`); run from its sources the compiler is whole, and nothing is here.
 */
const rest: Readonly<Record<string, (...args: readonly unknown[]) => unknown>> = {};
export default rest;
