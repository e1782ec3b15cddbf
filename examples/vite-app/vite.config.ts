import fusum from "fusum/vite";
import { defineConfig, type UserConfig } from "vite";

const config: UserConfig = defineConfig({ plugins: [fusum()] });
export default config;
