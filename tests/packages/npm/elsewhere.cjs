// Makes Node say that it runs on a platform without a binary.
Object.defineProperty(process, "platform", { value: "sunos" });
Object.defineProperty(process, "arch", { value: "x64" });
