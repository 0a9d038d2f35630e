"""Makes the demo model, from the Debian packages to the committed files.

    python -m training [--debs DIR]

Half an hour on two cores that compute bfloat16; the stages alone are listed in the package's docstring.
"""

from pathlib import Path

from bundle.command_line import Parser
from training import MODEL_DIR, card, corpus, evaluate, packages, samples, variants
from training.train import STEPS, train


def main() -> None:
    parser = Parser(prog="python -m training", description=__doc__.splitlines()[0])
    packages.add_arguments(parser)
    parser.add_argument("--out", type=Path, default=MODEL_DIR, help="default: models/demo")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--strangers", type=Path, help="recordings of people that the model was not trained on, for the card"
    )
    options = parser.parse_args()
    try:
        packages.extract(options.work, debs=options.debs, any_version=options.any_version)
    except packages.PackageError as error:
        parser.exit(1, f"{error}\n")
    clips = corpus.build(options.work)
    print(corpus.describe(clips))
    variants.build(clips, options.work)
    train(clips, options.work, options.out, options.steps, options.seed)
    report = evaluate.evaluate(clips, options.out, options.work, options.strangers)
    samples.build(clips, options.out, options.work)
    if options.out == MODEL_DIR:
        card.update()
    clean = report["conditions"]["clean"]
    print(
        f"{options.out}: {clean['right']} of {clean['clips']} held-out clips right ({clean['accuracy']:.1%})"
    )


if __name__ == "__main__":
    main()
