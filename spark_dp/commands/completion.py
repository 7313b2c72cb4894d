"""`spark-dp completion`: the script that teaches a shell this command line."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from spark_dp.commands.options import examples

VARIABLE = "_SPARK_DP_COMPLETE"


@click.command(
    short_help="Prints the script that completes in a shell.",
    epilog=examples(
        "spark-dp completion bash > ~/.local/share/bash-completion/completions/spark-dp",
        "spark-dp completion zsh > ~/.zfunc/_spark-dp          with ~/.zfunc in fpath",
        "spark-dp completion fish > ~/.config/fish/completions/spark-dp.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Prints the script that completes commands, options, settings and files in a shell."""
    found = get_completion_class(shell)
    if found is not None:
        click.echo(found(ctx.find_root().command, {}, "spark-dp", VARIABLE).source())
