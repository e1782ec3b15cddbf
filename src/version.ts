/** The compiler's version; a test keeps it beside package.json's. */
export const VERSION = "0.1.0";
