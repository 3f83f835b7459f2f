/** The version of this build, as `tombolo version` prints it. */
export const version = "0.1.0";
