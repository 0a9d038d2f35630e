"""Makes the demo model, from the Debian packages to the committed files.

    python -m training [--debs DIR]

Two hours on two cores that compute bfloat16; the stages alone are listed in the package's docstring.
"""

import shutil
from pathlib import Path

from bundle.command_line import Parser
from bundle.spec import SPEC_FILE
from training import (
    FIRST_DIR,
    MODEL_DIR,
    card,
    corpus,
    evaluate,
    guard,
    joint,
    language,
    packages,
    people,
    people_corpus,
    samples,
    variants,
)
from training.train import STEPS, train


def main() -> None:
    parser = Parser(prog="python -m training", description=__doc__.splitlines()[0])
    packages.add_arguments(parser)
    parser.add_argument("--out", type=Path, default=MODEL_DIR, help="default: models/demo")
    parser.add_argument("--steps", type=int, default=STEPS, help="of the speaker model")
    parser.add_argument("--joint-steps", type=int, default=joint.STEPS, help="of everybody's")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    everything = (*packages.PACKAGES, *people.PACKAGES)
    try:
        packages.extract(
            options.work, debs=options.debs, any_version=options.any_version, packages=everything
        )
    except packages.PackageError as error:
        parser.exit(1, f"{error}\n")
    clips = corpus.build(options.work)
    print(corpus.describe(clips))
    variants.build(clips, options.work)
    others = people_corpus.build(options.work)
    variants.build(others, options.work / people_corpus.FOLDER, people_corpus.CODED)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.out != MODEL_DIR:
        shutil.copy(MODEL_DIR / SPEC_FILE, options.out)
    train(clips, options.work, options.work / FIRST_DIR.name, options.steps, options.seed)
    joint.train(options.work, options.work / FIRST_DIR.name, options.out, options.joint_steps, options.seed)
    language.fit(options.out, options.work, options.seed)
    guard.build(options.out, options.work)
    report = evaluate.evaluate(clips, others, options.out, options.work)
    samples.build(clips, others, options.out, options.work)
    if options.out == MODEL_DIR:
        people_corpus.write(others)
        card.update()
    clean = report["conditions"]["clean"]
    print(
        f"{options.out}: {clean['right']} of {clean['clips']} held-out clips right ({clean['accuracy']:.1%})"
    )


if __name__ == "__main__":
    main()
