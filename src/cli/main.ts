#!/usr/bin/env node
/**
 * The command `fusum`. Commands are loaded when they are asked for, so that `--help` and `fmt` start quickly.
 * Exit codes: 0 fine, 1 diagnostics, 2 usage, 3 no device or a device error.
 */
import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { Command, CommanderError, Help, Option } from "commander";
import { findConfig } from "../project/find.ts";
import { reasonOf } from "../system-error.ts";
import { VERSION } from "../version.ts";
import { CliError, EXIT, type GlobalOptions, reportFailure } from "./context.ts";

const WHEN: readonly string[] = ["auto", "always", "never"];

const collect = (value: string, before: readonly string[]): string[] => [...before, value];

const help = new Help();

/** A list that begins empty is no default to speak of. */
function withoutEmptyDefault(description: string): string {
  return description.replace(/ ?\(default: \[\]\)$/, "");
}

const AFTER_HELP = `
Without a command it builds: "fusum" the project of this folder, "fusum model.ein" a file, "fusum src" a folder.
"fusum COMMAND --help" lists a command's options.

Exit codes: 0 fine, 1 diagnostics, 2 usage, 3 no device or an error of the device.
`;

/** Options that choose sizes and constants, common to run, check, explain and build. */
function withBindings(command: Command): Command {
  return command
    .option("--extent <NAME=N>", "value of a free extent (repeatable)", collect, [])
    .option("--const <NAME=VALUE>", "value of a const parameter, as JSON (repeatable)", collect, []);
}

function withAdapter(command: Command): Command {
  return command.addOption(
    new Option("--adapter <which>", "device to run on").choices(["auto", "gpu", "software"]).default("auto"),
  );
}

export function makeCommand(): Command {
  const program = new Command("fusum");
  program
    .description("Compiles einsum and tensor expressions (.ein) to fused WebGPU kernels.")
    .version(VERSION, "-v, --version")
    .option("--json", "machine-readable output")
    .addOption(
      new Option("--pretty [when]", "carets and colours in diagnostics").choices(WHEN).preset("always").default("auto"),
    )
    .option("--strict", "no reassociation of float sums and no distribution")
    .option("--fast-math", "cheaper and less accurate functions, without IEEE's NaN, infinities and -0")
    .configureHelp({
      showGlobalOptions: true,
      optionDescription: (option) => withoutEmptyDefault(help.optionDescription(option)),
      argumentDescription: (argument) => withoutEmptyDefault(help.argumentDescription(argument)),
    })
    .addHelpText("after", AFTER_HELP)
    .showSuggestionAfterError()
    .showHelpAfterError("(fusum --help lists commands and options)")
    .exitOverride()
    .configureOutput({ writeErr: (text) => process.stderr.write(text) });

  withBindings(program.command("build", { isDefault: false }))
    .description("compile a project, or .ein files that are named, to modules")
    .argument("[files...]", ".ein files or folders; without any, the project's", [])
    .option("-p, --project <path>", "folder or file of the configuration (default: fusum.config.json, here or above)")
    .option("--init", "write a fusum.config.json to begin with")
    .option("-w, --watch", "build again whenever a file changes")
    .option("--preserveWatchOutput", "do not clear the screen while watching")
    .option("--outDir <dir>", "where to write (default: beside the source)")
    .option("--noEmit", "check only")
    .option("--incremental", "leave alone what has not changed (a project's default)")
    .option("--no-incremental", "compile everything anew")
    .option("--sourceMap", "source maps of modules")
    .option("--threads <n>", "threads that compile (default: as many as pay)")
    .option("--function <name>", "only this function, of what is printed (repeatable)", collect, [])
    .addOption(
      new Option("--emit <what>", "files to write (`module` or `plans`), or a stage to print").choices([
        "module",
        "plans",
        "ast",
        "tensor",
        "fused",
        "kernel",
        "wgsl",
        "plan",
      ]),
    )
    .option("--print-after <pass>", "print the program after a pass (`all` for every one)")
    .option("--time-passes", "print how long each pass took")
    .option("--repeat <n>", "with --time-passes: compile so often, and print the times when the code is warm too")
    .action(async (files: string[], _o: unknown, c: Command) => {
      const { build } = await import("./build.ts");
      await build(files, c.optsWithGlobals());
    });

  withAdapter(withBindings(program.command("run")))
    .description("run a function on a device")
    .argument("<file>", ".ein file")
    .argument("<function>", "exported function")
    .option(
      "-i, --input <NAME=FILE>",
      "argument from .npy .npz .safetensors .json, or a JSON value (repeatable)",
      collect,
      [],
    )
    .option("--random <NAME=SHAPE>", "random argument, e.g. b=4x5; normal for floats (repeatable)", collect, [])
    .option("--seed <n>", "seed of --random", "0")
    .option("-o, --out <FILE>", "where to write the result: FILE or RESULT=FILE (repeatable)", collect, [])
    .option("--interpret", "run on the float64 interpreter instead of a device")
    .option("--time", "print the time of the kernels")
    .option("--schedules <FILE>", "tuned schedules, from `fusum tune`")
    .action(async (file: string, fn: string, _o: unknown, c: Command) => {
      const { run } = await import("./run.ts");
      await run(file, fn, c.optsWithGlobals());
    });

  withAdapter(withBindings(program.command("check")))
    .description("run every function on the device and compare with the interpreter within the derived bound")
    .argument("<files...>", ".ein files or folders")
    .option("--function <name>", "only this function (repeatable)", collect, [])
    .option("--seed <n>", "seed of the inputs", "0")
    .option("--budget <n>", "interpreter steps before results are sampled", "2e7")
    .option("--gradients", "instead compare derivatives with central differences, and forward with reverse mode")
    .action(async (files: string[], _o: unknown, c: Command) => {
      if (c.opts()["gradients"])
        await (await import("./check-gradients.ts")).checkGradients(files, c.optsWithGlobals());
      else await (await import("./check.ts")).check(files, c.optsWithGlobals());
    });

  withAdapter(withBindings(program.command("tune")))
    .description("search the schedules of a file's functions on a device, and keep the best in a cache")
    .argument("<file>", ".ein file")
    .argument("[functions...]", "exported functions (default: all)", [])
    .option(
      "--sizes <NAME=N,…>",
      "what free extents are tuned for where they stay free (default: 256 each, less where arrays would be larger than 128 MiB)",
      collect,
      [],
    )
    .option("--budget <time>", "time for all of it: 90s, 2m", "60s")
    .option("--trials <n>", "the most schedules that are tried of a kernel")
    .option("--seed <n>", "seed of the arguments and of what is tried", "1")
    .addOption(
      new Option(
        "--clock <which>",
        "what measures: the device's timestamps, or this process's processor time (software)",
      )
        .choices(["device", "processor"])
        .default("device"),
    )
    .option("--portable", "with WebGPU's guaranteed limits only, for builds that run everywhere")
    .option("-o, --out <FILE>", "cache to add to")
    .action(async (file: string, functions: string[], _o: unknown, c: Command) => {
      const { tune } = await import("./tune.ts");
      await tune(file, functions, c.optsWithGlobals());
    });

  withBindings(program.command("explain"))
    .description("kernels, fusion decisions, flops, bytes and memory of a function")
    .argument("<file>", ".ein file")
    .argument("[function]", "exported function (default: all)")
    .option("--grad", "print the gradient as a program in index notation")
    .option("--jacobian", "print the Jacobian by one parameter instead")
    .option("--wrt <names>", "parameters to differentiate by, with commas between (default: all floats)")
    .action(async (file: string, fn: string | undefined, _o: unknown, c: Command) => {
      const { explainCommand } = await import("./explain.ts");
      await explainCommand(file, fn, c.optsWithGlobals());
    });

  program
    .command("fmt")
    .description("format .ein files in place (- formats standard input)")
    .argument("<files...>", ".ein files or folders")
    .option("--check", "change nothing; exit 1 if a file would change")
    .action(async (files: string[], _o: unknown, c: Command) => {
      const { format } = await import("./fmt.ts");
      await format(files, c.optsWithGlobals());
    });

  program
    .command("lsp")
    .description("language server for editors")
    .option("--stdio", "speak over standard input and output (the default)")
    .action(async () => {
      const { serve } = await import("./lsp.ts");
      serve(VERSION);
    });
  return program;
}

/** Commander would take the word after `--pretty` for its value, whatever it is. */
function withPretty(argv: readonly string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const [word = "", next = ""] = [argv[i], argv[i + 1]];
    if (word !== "--pretty") out.push(word);
    else if (WHEN.includes(next)) out.push(`--pretty=${argv[++i]}`);
    else out.push("--pretty=always");
  }
  return out;
}

/** `fusum`, `fusum -w`, `fusum model.ein` and `fusum src` build, as with `tsc`; `fusum` where there is no project says what there is. */
function withDefaultCommand(argv: readonly string[], commands: readonly string[]): string[] {
  const rest = argv.filter((a) => !/^--(json|strict|fast-math|pretty=.*)$/.test(a));
  const first = rest[0];
  const builds =
    first === undefined
      ? findConfig(process.cwd()) !== undefined
      : first.startsWith("-")
        ? !/^(-h|--help|-v|--version)$/.test(first)
        : !commands.includes(first) && (/\.ein$|[\\/]|^\.+$/.test(first) || existsSync(first));
  return builds ? ["build", ...argv] : [...argv];
}

export async function main(argv: readonly string[]): Promise<number> {
  const command = makeCommand();
  try {
    const commands = command.commands.map((c) => c.name());
    const args = withDefaultCommand(withPretty(argv), [...commands, "help"]);
    if (args.length === 0) {
      command.outputHelp();
      return EXIT.usage;
    }
    await command.parseAsync(args, { from: "user" });
    return EXIT.fine;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.fine : EXIT.usage;
    if (error instanceof CliError && error.silent) return error.exitCode;
    return reportFailure(error, command.opts<GlobalOptions>());
  }
}

if (import.meta.main) {
  // A closed pipe (`fusum explain … | head`) ends the program quietly, a full disk does not.
  process.stdout.on("error", (e: NodeJS.ErrnoException) => {
    if (e.code === "EPIPE") process.exit(0);
    process.stderr.write(`fusum: standard output cannot be written: ${reasonOf(e)}\n`);
    process.exit(EXIT.diagnostics);
  });
  process.stderr.on("error", () => undefined);
  // The second start, and every other one, reads compiled code.
  enableCompileCache();
  process.exitCode = await main(process.argv.slice(2));
}
