"""Fits each candidate: a matrix that draws the photos of one person together, and a threshold chosen on search."""

from components.core import manifest
from components.core.params import Section
from components.core.stages import StageReport
from components.core.workloads import StageInput
from components.workloads.rails.candidates import Candidate, keep_candidates
from detent_pairs.verifier import score, see


class Recipe(Section):
    """How a candidate is trained: the numbers that embed a photo, and the descent."""

    width: int = 16
    steps: int = 60


def training(given: StageInput) -> StageReport:
    """Photos of train and pairs of search in, a candidate a recipe out."""
    return keep_candidates(given, {name: fit(given, recipe) for name, recipe in given.params.training.items()})


def fit(given: StageInput, recipe: Recipe) -> Candidate:
    """Logistic regression on the cosines of all pairs of photos; then the threshold that is right most often."""
    import torch
    from safetensors.torch import save

    train = manifest.read(given.workspace.samples("train").images, ["image", "label"]).to_pylist()
    photos = torch.from_numpy(see([row["image"]["bytes"] for row in train]))
    same = torch.tensor([[float(a["label"] == b["label"]) for b in train] for a in train])
    torch.manual_seed(given.params.seed)
    matrix = torch.randn(photos.shape[1], recipe.width, requires_grad=True)
    for _ in range(recipe.steps):
        points = torch.nn.functional.normalize(photos @ matrix)
        wrong = torch.nn.functional.softplus((4 - 8 * points @ points.T) * (2 * same - 1))
        matrix.data -= 100 * torch.autograd.grad((wrong * (1 + same * len(same) / 8)).mean(), matrix)[0]
    learned, search = matrix.detach(), given.workspace.samples("search")
    scores = score(learned.numpy(), search.encoded())
    right = (scores >= scores[:, None]) == (search.table(["truth"])["truth"].to_numpy() == "same")
    accuracy = right.mean(axis=1)  # with each score as the threshold
    threshold = {"threshold": float(scores[accuracy.argmax()])}
    files = {"embedding.safetensors": save({"matrix": learned}), "threshold.json": threshold}
    return Candidate(files=files, metrics={"search_accuracy": float(accuracy.max())}, params=recipe.model_dump())
